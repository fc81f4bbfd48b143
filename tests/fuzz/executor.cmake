# Included by CMakeLists.txt: what a step sends to its interface.
lade_fuzzer(fuzz_frame_filter DEPS lade_executor)
