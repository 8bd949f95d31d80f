# SPDX-License-Identifier: BSD-3-Clause
#
# cmake --install, and Debian packages by cpack (deploy/make-packages). Components: pns, tools.
include(GNUInstallDirs)
# Installing needs what it installs, not every test.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)

set(pns_programs ${CMAKE_INSTALL_PREFIX}/lib/pns)
set(pns_generated ${CMAKE_BINARY_DIR}/package)
# /usr has its configuration in /etc; so has every other prefix: pns looks nowhere else.
set(pns_etc /etc/pns)
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(pns_units lib/systemd/system)
else()
  set(pns_units /etc/systemd/system)
endif()

# The planes and the XDP programs lie beside pns.
install(TARGETS pns pns-control pns-dataplane DESTINATION lib/pns COMPONENT pns)
foreach(role access core kernel link)
  install(FILES ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/pns-xdp-${role}.o DESTINATION lib/pns COMPONENT pns)
endforeach()
install(CODE "file(MAKE_DIRECTORY \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/bin)
              file(CREATE_LINK ../lib/pns/pns \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/bin/pns SYMBOLIC)"
        COMPONENT pns)
install(PROGRAMS deploy/prepare-nic DESTINATION sbin RENAME pns-prepare-nic COMPONENT pns)

# Paths of the unit follow the prefix.
file(READ deploy/pns.service unit)
string(REPLACE /usr/local/lib/pns ${pns_programs} unit "${unit}")
file(WRITE ${pns_generated}/pns.service "${unit}")
install(FILES ${pns_generated}/pns.service DESTINATION ${pns_units} COMPONENT pns)
install(FILES deploy/pns.sysusers.conf DESTINATION /usr/lib/sysusers.d RENAME pns.conf COMPONENT pns)
install(FILES deploy/pns.tmpfiles.conf DESTINATION /usr/lib/tmpfiles.d RENAME pns.conf COMPONENT pns)
install(FILES deploy/package/pns.bash-completion DESTINATION share/bash-completion/completions
        RENAME pns COMPONENT pns)

# A configuration that starts after the NIC's name was put in; what is there stays.
foreach(pair "one-nic.yaml pns.yaml" "users.yaml users.yaml")
  separate_arguments(pair)
  list(GET pair 0 from)
  list(GET pair 1 to)
  install(CODE "
    set(file \$ENV{DESTDIR}${pns_etc}/${to})
    if(NOT EXISTS \${file})
      file(MAKE_DIRECTORY \$ENV{DESTDIR}${pns_etc})
      file(COPY_FILE ${CMAKE_SOURCE_DIR}/deploy/${from} \${file})
      file(CHMOD \${file} PERMISSIONS OWNER_READ OWNER_WRITE)
    endif()" COMPONENT pns)
endforeach()

set(doc share/doc/pns)
install(FILES README.md deploy/package/copyright DESTINATION ${doc} COMPONENT pns)
install(DIRECTORY docs/ DESTINATION ${doc}/docs COMPONENT pns
        PATTERN decisions EXCLUDE PATTERN performance EXCLUDE PATTERN soak EXCLUDE PATTERN vm EXCLUDE
        PATTERN "*.csv" EXCLUDE)
install(FILES deploy/pns.yaml deploy/users.yaml deploy/one-nic.yaml deploy/one-nic.nft deploy/lan-addresses.yaml
              deploy/package/60-pns.conf DESTINATION ${doc}/examples COMPONENT pns)
install(DIRECTORY deploy/prometheus DESTINATION ${doc}/examples COMPONENT pns)

install(TARGETS pns-loadgen pns-bench DESTINATION bin COMPONENT tools)
install(FILES deploy/package/copyright DESTINATION share/doc/pns-tools COMPONENT tools)
file(ARCHIVE_CREATE OUTPUT ${pns_generated}/changelog.gz PATHS ${CMAKE_SOURCE_DIR}/deploy/package/changelog
     FORMAT raw COMPRESSION GZip)
install(FILES ${pns_generated}/changelog.gz DESTINATION ${doc} COMPONENT pns)
install(FILES ${pns_generated}/changelog.gz DESTINATION share/doc/pns-tools COMPONENT tools)
install(FILES deploy/package/lintian-overrides DESTINATION share/lintian/overrides RENAME pns COMPONENT pns)

# Manual pages are made of --help and docs/, so that they say the same.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(pages pns.1 pns.yaml.5 pns-control.8 pns-dataplane.8 pns-prepare-nic.8 pns-loadgen.1 pns-bench.1)
list(TRANSFORM pages PREPEND ${pns_generated}/man/ OUTPUT_VARIABLE page_files)
add_custom_command(OUTPUT ${page_files}
  COMMAND Python3::Interpreter -B ${CMAKE_SOURCE_DIR}/tools/make_man.py --bin ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}
          --source ${CMAKE_SOURCE_DIR} --version ${PROJECT_VERSION} --output ${pns_generated}/man
  DEPENDS pns pns-control pns-dataplane pns-loadgen pns-bench tools/make_man.py docs/configuration.md
          deploy/prepare-nic
  COMMENT "manual pages" VERBATIM)
add_custom_target(pns_man ALL DEPENDS ${page_files})
foreach(page ${pages})
  string(REGEX MATCH "[0-9]$" section ${page})
  if(page MATCHES "loadgen|bench")
    set(component tools)
  else()
    set(component pns)
  endif()
  install(FILES ${pns_generated}/man/${page}.gz DESTINATION share/man/man${section} COMPONENT ${component})
endforeach()

# ---- Debian packages
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME pns)
set(CPACK_PACKAGE_CONTACT "PNS maintainers <pns-maintainers@example.org>")
# Some files lie outside the prefix.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL pns tools)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS OFF)
set(CPACK_DEBIAN_DEBUGINFO_PACKAGE ${PNS_PACKAGE_SYMBOLS})
set(CPACK_DEBIAN_PNS_PACKAGE_NAME pns)
set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME pns-tools)
set(CPACK_COMPONENT_PNS_DESCRIPTION "A VPN concentrator for PPTP: TCP 1723, PPP, MPPE and RADIUS, with a DPDK
dataplane. Calls outlive restarts and upgrades of its processes. PPTP's
cryptography is broken: use it only where you must.")
set(CPACK_COMPONENT_TOOLS_DESCRIPTION "pns-loadgen emulates thousands of PPTP subscribers and access concentrators.
pns-bench measures parts of the server on this CPU.")
# Drivers that DPDK loads at its start: no program names them.
file(STRINGS deploy/packages-runtime drivers REGEX "^librte-(mempool|bus|net)-")
list(JOIN drivers ", " drivers)
set(CPACK_DEBIAN_PNS_PACKAGE_DEPENDS "${drivers}, systemd | systemd-standalone-sysusers")
set(CPACK_DEBIAN_PNS_PACKAGE_RECOMMENDS "nftables")
set(CPACK_DEBIAN_PNS_PACKAGE_CONTROL_EXTRA
    "${CMAKE_SOURCE_DIR}/deploy/package/debian/conffiles;${CMAKE_SOURCE_DIR}/deploy/package/debian/postinst;${CMAKE_SOURCE_DIR}/deploy/package/debian/prerm;${CMAKE_SOURCE_DIR}/deploy/package/debian/postrm")
set(CPACK_DEBIAN_PNS_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
