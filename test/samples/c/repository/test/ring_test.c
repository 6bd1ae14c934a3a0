#include "../src/ring.h"

#include <stdio.h>

static int failures;

static void expect(const char *what, int actual, int expected)
{
    if (actual == expected) {
        printf("ok       %s\n", what);
        return;
    }
    printf("not ok   %s: %d, expected %d\n", what, actual, expected);
    failures++;
}

int main(void)
{
    struct ring ring;

    expect("a capacity of 0 is refused", ring_open(&ring, 0), -1);
    expect("a ring opens", ring_open(&ring, 3), 0);

    ring_push(&ring, 10);
    ring_push(&ring, 20);
    expect("the count grows", (int)ring.count, 2);
    expect("the oldest comes first", ring_at(&ring, 0), 10);
    expect("the newest comes last", ring_at(&ring, 1), 20);

    ring_push(&ring, 30);
    ring_push(&ring, 40);
    expect("a full ring stays full", (int)ring.count, 3);
    expect("the oldest gave way", ring_at(&ring, 0), 20);
    expect("the middle is kept", ring_at(&ring, 1), 30);
    expect("the newest is last in a full ring", ring_at(&ring, 2), 40);

    ring_close(&ring);
    return failures == 0 ? 0 : 1;
}
