/* Inputs that reach cells and both sides of the borders between them, with the cells and the outputs of the reference
 * interpreter, bit for bit. The numbers belong to the file that includes this one. */
#ifndef NETSLICER_TEST_VECTORS_H
#define NETSLICER_TEST_VECTORS_H

#include "netslicer.h"

/* @VECTORS@ */
#endif
