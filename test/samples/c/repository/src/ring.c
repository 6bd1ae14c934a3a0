#include "ring.h"

#include <stdlib.h>

int ring_open(struct ring *ring, size_t capacity)
{
    ring->capacity = capacity;
    ring->start = 0;
    ring->count = 0;
    ring->numbers = capacity == 0 ? NULL : calloc(capacity, sizeof *ring->numbers);
    return ring->numbers == NULL ? -1 : 0;
}

void ring_close(struct ring *ring)
{
    free(ring->numbers);
    ring->numbers = NULL;
    ring->count = 0;
}

void ring_push(struct ring *ring, int number)
{
    if (ring->count < ring->capacity) {
        ring->numbers[(ring->start + ring->count) % ring->capacity] = number;
        ring->count++;
        return;
    }
    ring->start = (ring->start + 1) % ring->capacity;
    ring->numbers[ring->start] = number;
}

int ring_at(const struct ring *ring, size_t age)
{
    return ring->numbers[(ring->start + age) % ring->capacity];
}
