#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    const char *greeting = getenv("GREETING");
    for (int i = 1; i < argc; i++)
        printf("%s, %s!\n", greeting ? greeting : "Hi", argv[i]);
    return 0;
}
