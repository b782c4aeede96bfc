
/* Members from NETSLICER_FIRST_AFFINE on choose no sets: they are affine functions of the input. The place of each one's
 * numbers: [bias: outputs][weights: inputs * outputs]. */
extern const netslicer_place netslicer_affine[NETSLICER_AFFINE_MEMBERS];
