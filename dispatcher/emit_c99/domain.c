/* Inputs: NaN is refused; what becomes of numbers outside the domain is up to NETSLICER_POLICY. */

#if NETSLICER_POLICY != NETSLICER_REJECT && NETSLICER_POLICY != NETSLICER_CLAMP && NETSLICER_POLICY != NETSLICER_PARENT
#error "NETSLICER_POLICY must be NETSLICER_REJECT, NETSLICER_CLAMP or NETSLICER_PARENT"
#endif
#if NETSLICER_POLICY == NETSLICER_PARENT && !defined(NETSLICER_PARENT_MEMBER)
#error "this package does not hold the parent: emit it with --with-parent"
#endif

/* The answer of netslicer_check_domain() for an input that the parent is to evaluate. */
#define NETSLICER_FOR_PARENT 1

/* What to do about a number that is NaN or outside the domain: a negative code to refuse it, or NETSLICER_FOR_PARENT, or
 * NETSLICER_OK if it is moved to the domain later. */
static int netslicer_stray(float number)
{
    if (number != number) {
        return NETSLICER_NAN;
    }
#if NETSLICER_POLICY == NETSLICER_CLAMP
    return NETSLICER_OK;
#elif NETSLICER_POLICY == NETSLICER_PARENT
    return number >= -FLT_MAX && number <= FLT_MAX ? NETSLICER_FOR_PARENT : NETSLICER_OUT_OF_DOMAIN;
#else
    return NETSLICER_OUT_OF_DOMAIN;
#endif
}

/* NETSLICER_OK if every number is within the domain or may be moved there; NETSLICER_FOR_PARENT; or the code of the first
 * number that is refused. */
static int netslicer_check_domain(const float *in)
{
    int answer = NETSLICER_OK;
    for (size_t i = 0; i < NETSLICER_INPUTS; i++) {
        if (!(in[i] >= netslicer_lower[i] && in[i] <= netslicer_upper[i])) {
            const int stray = netslicer_stray(in[i]);
            if (stray < 0) {
                return stray;
            }
            answer = stray;
        }
    }
    return answer;
}

/* Copies an input, its numbers moved to the nearest ones of the domain where that is the policy. Moving them does not
 * change the cell: every threshold lies inside the domain. */
static void netslicer_load(const float *in, float *target)
{
#if NETSLICER_POLICY == NETSLICER_CLAMP
    for (size_t i = 0; i < NETSLICER_INPUTS; i++) {
        const float least = in[i] < netslicer_lower[i] ? netslicer_lower[i] : in[i];
        target[i] = least > netslicer_upper[i] ? netslicer_upper[i] : least;
    }
#else
    netslicer_copy(in, NETSLICER_INPUTS, target);
#endif
}

/* The member that serves a cell; NETSLICER_CELLS stands for inputs outside the domain, which the parent serves. */
static size_t netslicer_member_of(size_t cell)
{
#if NETSLICER_POLICY == NETSLICER_PARENT
    return cell < NETSLICER_CELLS ? netslicer_cells[cell] : NETSLICER_PARENT_MEMBER;
#else
    return netslicer_cells[cell];
#endif
}
