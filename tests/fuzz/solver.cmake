# Included by CMakeLists.txt: what the solver reads of strangers.
lade_fuzzer(fuzz_remote DEPS lade_solver)
lade_fuzzer(fuzz_ssh_forward DEPS lade_solver)
