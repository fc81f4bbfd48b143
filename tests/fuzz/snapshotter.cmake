# Included by CMakeLists.txt. fuzz_tar and fuzz_image_archive want root and /dev/shm.
lade_fuzzer(fuzz_layer_index DEPS lade_snapshotter)
lade_fuzzer(fuzz_tar DEPS lade_snapshotter)
lade_fuzzer(fuzz_image_archive DEPS lade_snapshotter)
