# lade_library(NAME IN folder DEPS lade_x ... LIBS y ...): a static library of a folder's .cpp files, compiled strictly;
# without IN of this one's. Its main.cpp, if there is one, is a program's. DEPS are lade's own targets, LIBS foreign ones.
add_library(lade_flags INTERFACE)
target_compile_options(lade_flags INTERFACE -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # libstdc++ 12's own std::stable_sort uses what it calls deprecated, and clang tells our code.
  target_compile_options(lade_flags INTERFACE -Wno-deprecated-declarations)
endif()
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # That a type of a .cpp file has members of the file's own types is said of included files only.
  target_compile_options(lade_flags INTERFACE -Wno-subobject-linkage)
endif()
target_include_directories(lade_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(lade_flags INTERFACE LADE_VERSION="${PROJECT_VERSION}" _GNU_SOURCE)
if(LADE_SANITIZE)
  target_compile_options(lade_flags INTERFACE -fsanitize=${LADE_SANITIZE} -fno-omit-frame-pointer
                                              -fno-sanitize-recover=undefined)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # gcc 12 takes instrumented std::optional for uninitialised; the plain build checks it.
    target_compile_options(lade_flags INTERFACE -Wno-maybe-uninitialized)
  endif()
  target_link_options(lade_flags INTERFACE -fsanitize=${LADE_SANITIZE})
endif()

function(lade_library name)
  cmake_parse_arguments(ARG "" "IN" "DEPS;LIBS" ${ARGN})
  set(folder ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_IN})
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC lade_flags ${ARG_DEPS} PRIVATE ${ARG_LIBS})
endfunction()

# lade_test(FOLDER LABEL label DEPS lade_x ...): one GoogleTest program of tests/FOLDER/*_test.cpp.
function(lade_test folder)
  cmake_parse_arguments(ARG "" "LABEL" "DEPS;LIBS" ${ARGN})
  string(REPLACE "/" "_" name ${folder})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${name} ${sources})
  target_link_libraries(test_${name} PRIVATE lade_flags lade_test_support ${ARG_DEPS} ${ARG_LIBS}
                                             GTest::gtest GTest::gmock GTest::gtest_main)
  # Tests run once; what they test is optimised, they themselves need not be.
  target_compile_options(test_${name} PRIVATE $<$<CONFIG:Release>:-O0>)
  gtest_discover_tests(test_${name} DISCOVERY_MODE PRE_TEST TEST_PREFIX "${name}."
                       PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT 300)
endfunction()
