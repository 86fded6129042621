/*
 * A server that forks a child for each client.
 *
 * From CSCI3150, Lecture 3: Processes ("Why fork()?"). To see: each client is served by a process
 * of its own, which has the connection because it is a copy of the server.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLIENTS 3

/* A name without a file: the kernel gives one when the family alone is bound. */
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static socklen_t address_bytes = sizeof(sa_family_t);

static void serve(int connection)
{
    char request[64], answer[128];
    ssize_t length = read(connection, request, sizeof(request) - 1);

    request[length > 0 ? length : 0] = 0;
    snprintf(answer, sizeof(answer), "%s, I am a process for you alone", request);
    dprintf(connection, "%s", answer);
}

static int be_a_client(int number)
{
    int connection = socket(AF_UNIX, SOCK_STREAM, 0);
    char answer[128];
    ssize_t length;

    if (connect(connection, (struct sockaddr *)&address, address_bytes))
        return 1;
    dprintf(connection, "client %d", number);
    length = read(connection, answer, sizeof(answer) - 1);
    answer[length > 0 ? length : 0] = 0;
    puts(answer);
    return 0;
}

int main(void)
{
    int door = socket(AF_UNIX, SOCK_STREAM, 0);

    bind(door, (struct sockaddr *)&address, address_bytes);
    listen(door, CLIENTS);
    address_bytes = sizeof(address);
    getsockname(door, (struct sockaddr *)&address, &address_bytes);
    for (int i = 0; i < CLIENTS; i++)
        if (fork() == 0)
            return be_a_client(i);
    for (int i = 0; i < CLIENTS; i++) {
        int connection = accept(door, NULL, NULL);

        if (fork() == 0) {
            serve(connection);
            return 0;
        }
        close(connection); /* the child has its own descriptor */
    }
    while (wait(NULL) > 0)
        ;
    return 0;
}
