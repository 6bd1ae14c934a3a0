#ifndef RING_H
#define RING_H

#include <stddef.h>

/* A ring of the last `capacity` numbers; the oldest gives way to the newest. */
struct ring {
    size_t capacity;
    size_t start; /* index of the oldest number */
    size_t count;
    int *numbers;
};

/* Returns 0, or -1 when there is no memory or the capacity is 0. */
int ring_open(struct ring *ring, size_t capacity);
void ring_close(struct ring *ring);

/* Adds a number; when the ring is full, the oldest one is overwritten. */
void ring_push(struct ring *ring, int number);

/* The number at an age: 0 is the oldest. `age` is below `ring->count`. */
int ring_at(const struct ring *ring, size_t age);

#endif
