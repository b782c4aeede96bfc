
/* Members before NETSLICER_READOUTS read their outputs off layers of the program: each a sum of terms, then a bias. */

/* How a layer is read, once so many steps are done. Flags: its units stand in the list that the last of these steps has
 * left, else at `source` in the scratch's values; the weights are those of all its units, else those of the units read. */
#define NETSLICER_READS_LIST 1
#define NETSLICER_READS_ALL 2
typedef struct {
    netslicer_index steps;
    netslicer_index units;    /* of the layer */
    netslicer_index source;
    netslicer_index row_step; /* from one unit's row in a list to the next one's */
    uint8_t flags;
} netslicer_reading;

/* A layer that a member reads: the weights of each unit for all outputs side by side; the mask of the units read. */
typedef struct {
    netslicer_place weights;
    netslicer_place mask; /* in netslicer_masks */
    netslicer_index reading;
} netslicer_stage;

/* What a member reads, in the order in which its steps compute it. */
typedef struct {
    netslicer_place first_stage;
    netslicer_place bias; /* [outputs] */
    netslicer_index stages;
} netslicer_readout;

extern const netslicer_reading netslicer_readings[NETSLICER_READINGS];
extern const netslicer_stage netslicer_stages[NETSLICER_STAGES];
extern const netslicer_readout netslicer_readouts[NETSLICER_READOUTS];
