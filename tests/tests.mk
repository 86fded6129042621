# Rules for the tests: unit (host), guest (Linux, then Pith), e2e.
