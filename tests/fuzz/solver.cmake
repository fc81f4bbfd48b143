# Included by CMakeLists.txt: what the solver reads of strangers.
lade_fuzzer(fuzz_remote DEPS lade_solver)
