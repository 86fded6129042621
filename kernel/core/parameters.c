/*
 * The kernel's command line: words separated by spaces, `name` or `name=value`.
 *
 * The table of words is the linker's: each file that understands one adds a line with PARAMETER,
 * beside the variable that it sets. docs/kernel-parameters.md is made from all of them. A value
 * holds no spaces. A word that nobody knows is logged, and so is a value that is refused.
 *
 * Context: boot CPU, before anything but the log.
 */
#include <pith/core.h>

#define WORD_BYTES 256

extern const struct parameter parameters_start[], parameters_end[];

static const struct parameter *parameter_find(const char *name)
{
    for (const struct parameter *each = parameters_start; each < parameters_end; each++) {
        if (!strcmp(each->name, name))
            return each;
    }
    return NULL;
}

static int parameter_set(const struct parameter *parameter, const char *value)
{
    if (parameter->set)
        return parameter->set(value);
    if (value)
        return -EINVAL;
    *parameter->flag = true;
    return 0;
}

static void word_parse(char *word)
{
    const struct parameter *parameter;
    char *equals = strchr(word, '=');

    if (equals)
        *equals = '\0';
    parameter = parameter_find(word);
    if (!parameter)
        log_warning("command line: unknown word: %s", word);
    else if (parameter_set(parameter, equals ? equals + 1 : NULL))
        log_warning("command line: %s takes %s, not %s", word,
                    parameter->values && *parameter->values ? parameter->values : "no value",
                    equals ? equals + 1 : "nothing");
}

void parameters_parse(const char *command_line)
{
    char word[WORD_BYTES];

    for (;;) {
        size_t bytes = 0;

        while (*command_line == ' ')
            command_line++;
        if (!*command_line)
            return;
        for (; *command_line && *command_line != ' '; command_line++) {
            if (bytes < sizeof(word) - 1)
                word[bytes++] = *command_line;
        }
        word[bytes] = '\0';
        word_parse(word);
    }
}
