# What `cmake --install` puts where, and the Debian package of it (`./dev package`).
include(GNUInstallDirs)

set(pages ${CMAKE_BINARY_DIR}/man)
set(shells ${CMAKE_BINARY_DIR}/completions)
# They come from the tables that --help comes from, and so from the programs.
add_custom_command(OUTPUT ${pages}/lade.1 ${pages}/lade-daemon.8
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${pages}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${pages}
  COMMAND lade __man-pages ${pages}
  COMMAND lade-daemon --man-page > ${pages}/lade-daemon.8
  DEPENDS lade lade-daemon VERBATIM COMMENT "writing manual pages")
add_custom_command(OUTPUT ${shells}/lade
  COMMAND ${CMAKE_COMMAND} -E make_directory ${shells}
  COMMAND lade completion bash > ${shells}/lade
  COMMAND lade completion zsh > ${shells}/_lade
  COMMAND lade completion fish > ${shells}/lade.fish
  DEPENDS lade VERBATIM COMMENT "writing completions")
add_custom_target(lade_extras ALL DEPENDS ${pages}/lade.1 ${shells}/lade)

install(TARGETS lade lade-daemon DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${pages}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 FILES_MATCHING PATTERN "*.1")
install(DIRECTORY ${pages}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man8 FILES_MATCHING PATTERN "*.8")
install(FILES ${shells}/lade DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${shells}/_lade DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${shells}/lade.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES packaging/systemd/lade.service packaging/systemd/lade.socket DESTINATION lib/systemd/system)
install(FILES packaging/systemd/user/lade.service packaging/systemd/user/lade.socket DESTINATION lib/systemd/user)
install(FILES packaging/apparmor/lade DESTINATION ${CMAKE_INSTALL_DATADIR}/lade/apparmor)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs examples DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME lade)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The lade developers <lade@lade.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "image builder for Dockerfiles")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"lade builds container images from Dockerfiles with the flags of docker build,
as root or as an ordinary user, without a daemon. Its daemon takes the place of
BuildKit for docker buildx, buildctl and compose.")
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# libcurl is opened when a registry is first asked, slirp4netns run when a step sends its first packet.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "ca-certificates, libcurl4, slirp4netns")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "uidmap, git, openssh-client")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "apparmor")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/packaging/debian/postinst
    ${PROJECT_SOURCE_DIR}/packaging/debian/prerm ${PROJECT_SOURCE_DIR}/packaging/debian/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/DebianFiles.cmake)
include(CPack)
