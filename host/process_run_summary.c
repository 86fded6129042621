/*
 * The figures that one compares policies by.
 *
 *     response     from the arrival to the first unit on a CPU
 *     turnaround   from the arrival to the end
 *     wait         time READY
 *     fairness     Jain's index (Jain, Chiu and Hawe, 1984) of what each process got of the CPU,
 *                  per weight, while it wanted it: running / (running + ready) / weight. 1: all got
 *                  the same; 1/n: one of n got everything.
 */
#include "process_run.h"

static u64 turnaround_of(const struct process_result *process)
{
    return process->end - process->arrival;
}

static u64 response_of(const struct process_result *process)
{
    return process->first_run - process->arrival;
}

static double fairness_of(const struct result *result)
{
    double sum = 0, squares = 0, count = 0;

    for (u32 i = 0; i < result->count; i++) {
        const struct process_result *process = &result->processes[i];
        double share;

        if (process->cpu == 0)
            continue;
        share = (double)process->cpu / (double)(process->cpu + process->waiting) /
                (double)process->weight;
        sum += share;
        squares += share * share;
        count++;
    }
    return count > 0 ? sum * sum / (count * squares) : 1;
}

static double percent_of(u64 part, u64 whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_processes(const struct result *result)
{
    for (u32 i = 0; i < result->count; i++) {
        const struct process_result *process = &result->processes[i];

        printf("%-7u %10llu %10llu %11llu %10llu %10llu\n", i, (unsigned long long)process->arrival,
               (unsigned long long)response_of(process), (unsigned long long)turnaround_of(process),
               (unsigned long long)process->cpu, (unsigned long long)process->waiting);
    }
}

static void print_averages(const struct result *result)
{
    double response = 0, turnaround = 0, cpu = 0, waiting = 0, count = result->count;

    for (u32 i = 0; i < result->count; i++) {
        response += (double)response_of(&result->processes[i]);
        turnaround += (double)turnaround_of(&result->processes[i]);
        cpu += (double)result->processes[i].cpu;
        waiting += (double)result->processes[i].waiting;
    }
    printf("Average %21.2f %11.2f %10.2f %10.2f\n", response / count, turnaround / count,
           cpu / count, waiting / count);
}

void summary_print(const struct result *result, const struct options *options)
{
    const char *plural = result->cpus == 1 ? "" : "s";

    puts("Process    Arrival   Response  Turnaround        CPU       Wait");
    if (!options->shows_summary_only)
        print_processes(result);
    print_averages(result);
    printf("\nPolicy %s, %u CPU%s\n", options->policy->name, result->cpus, plural);
    printf("Total Time  %llu\n", (unsigned long long)result->units);
    printf("CPU Busy    %llu (%.2f%%)\n", (unsigned long long)result->cpu_busy,
           percent_of(result->cpu_busy, result->units * result->cpus));
    printf("IO Busy     %llu (%.2f%%)\n", (unsigned long long)result->device_busy,
           percent_of(result->device_busy, result->units));
    printf("Fairness    %.3f\n", fairness_of(result));
    printf("Switches    %llu\n", (unsigned long long)result->switches);
    printf("Migrations  %llu\n", (unsigned long long)result->migrations);
}

void summary_print_csv(const struct result *result)
{
    puts("process,weight,arrival,response,turnaround,cpu,wait");
    for (u32 i = 0; i < result->count; i++) {
        const struct process_result *process = &result->processes[i];

        printf("%u,%llu,%llu,%llu,%llu,%llu,%llu\n", i, (unsigned long long)process->weight,
               (unsigned long long)process->arrival, (unsigned long long)response_of(process),
               (unsigned long long)turnaround_of(process), (unsigned long long)process->cpu,
               (unsigned long long)process->waiting);
    }
}
