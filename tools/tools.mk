# Rules for what builds and checks the tree.
