# Rules for the programs of the user's machine: the `pith` command and process-run.
include host/fs_server.mk
include host/process_run.mk
