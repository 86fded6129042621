/*
 * A library that is loaded while the program runs.
 *
 * From CSC 374, Lecture 2 ("Shared Libraries") and L41, Lecture 3: The Process Model ("Role of the
 * run-time linker"). To see: after dlopen the library's regions are in the address space, its code
 * not writable and shared with whoever else maps it; after dlclose they are gone.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static void show_regions(const char *when)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512], permissions[5];
    int count = 0;

    printf("%s:", when);
    while (maps && fgets(line, sizeof(line), maps))
        if (strstr(line, "/libm.so") && sscanf(line, "%*s %4s", permissions) == 1) {
            printf(" %s", permissions);
            count++;
        }
    printf("%s\n", count ? "" : " no region");
    if (maps)
        fclose(maps);
}

int main(void)
{
    double (*cosine)(double);
    void *library;

    show_regions("before");
    library = dlopen("libm.so.6", RTLD_NOW);
    if (!library) {
        puts(dlerror());
        return 1;
    }
    show_regions("loaded");
    cosine = (double (*)(double))dlsym(library, "cos");
    printf("cos(0) = %g\n", cosine(0));
    dlclose(library);
    show_regions("closed");
    return 0;
}
