# Debian 12's libraries. What the hot paths need is linked statically, since loading shared libraries
# costs more than a cached build (docs/ARCHITECTURE.md, "Start-up is a budget").
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(TBB REQUIRED)
find_package(Boost 1.74 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(fmt REQUIRED)
pkg_check_modules(ISAL REQUIRED IMPORTED_TARGET libisal)
find_path(CURL_INCLUDE_DIR curl/curl.h REQUIRED)
find_path(TOMLPLUSPLUS_INCLUDE_DIR toml++/toml.h REQUIRED)

# lade_static(NAME archive...): an imported target of static archives, in link order.
function(lade_static name)
  add_library(${name} INTERFACE)
  foreach(library ${ARGN})
    find_library(LADE_STATIC_${library} NAMES lib${library}.a REQUIRED)
    target_link_libraries(${name} INTERFACE ${LADE_STATIC_${library}})
  endforeach()
endfunction()

lade_static(dep_archive archive acl nettle lzma bz2 lz4 zstd z)
lade_static(dep_compression zstd z lzma bz2)
lade_static(dep_crypto crypto)
lade_static(dep_sqlite sqlite3)
lade_static(dep_seccomp seccomp)
# libarchive's tar writer shares an object with its table of all formats, and so with xar and libxml2. Its
# functions have sections of their own: dropping the unused ones drops the need for them.
target_link_options(dep_archive INTERFACE -Wl,--gc-sections)
target_link_libraries(dep_crypto INTERFACE Threads::Threads ${CMAKE_DL_LIBS})
target_link_libraries(dep_sqlite INTERFACE Threads::Threads ${CMAKE_DL_LIBS} m)

if(LADE_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
