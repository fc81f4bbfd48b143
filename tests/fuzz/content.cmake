# Included by CMakeLists.txt: the content library and the registry client.
lade_fuzzer(fuzz_image_json DEPS lade_content)
lade_fuzzer(fuzz_reference DEPS lade_content)
lade_fuzzer(fuzz_cache_document DEPS lade_content)
lade_fuzzer(fuzz_decompress DEPS lade_content)
lade_fuzzer(fuzz_bearer_challenge DEPS lade_registry)
lade_fuzzer(fuzz_xml_text DEPS lade_s3)
