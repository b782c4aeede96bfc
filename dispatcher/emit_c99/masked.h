
/* Layout masked. A slot is a choice of live units: each member chooses one of its sets. Layers whose live units go
 * together share a slot; layers all of whose units are always live have none. A set is a mask: bit i % 8 of byte i / 8
 * stands for unit i. In the order of its sets, a slot has first those with few units, then those with more, then those
 * with special units. */
typedef struct {
    netslicer_place masks;    /* of set 0, in netslicer_masks */
    netslicer_place specials; /* of the first set with special units, in netslicer_special_sets */
    netslicer_index bytes;    /* of a mask */
    netslicer_index gathered; /* number of sets with few units: only these units are computed */
    netslicer_index plain;    /* number of sets without special units */
} netslicer_slot;

/* The slots of a step's source and target; used by dense steps. */
#define NETSLICER_ALL_LIVE NETSLICER_SLOTS
typedef struct {
    netslicer_index source;
    netslicer_index target;
} netslicer_live;

/* A special unit: its terms before source unit `first` sum to `value`; if first is the number of source units, value is
 * the unit's, bias included. */
typedef struct {
    float value;
    netslicer_index unit; /* or the number of units: end of a set's special units */
    netslicer_index first;
} netslicer_special;

extern const netslicer_slot netslicer_slots[NETSLICER_SLOTS];
extern const netslicer_live netslicer_live_of_step[NETSLICER_STEPS];
extern const netslicer_index netslicer_choices[NETSLICER_CHOICES]; /* [members][slots]: sets */
extern const uint8_t netslicer_masks[NETSLICER_MASK_BYTES];
extern const netslicer_place netslicer_special_sets[NETSLICER_SPECIAL_SETS]; /* the first special unit of each */
extern const netslicer_special netslicer_specials[NETSLICER_SPECIALS];
