# `cmake --install`: programs, headers, the folders' libraries as afdg::NAME, and what find_package(afdg) reads.
# Every library target called afdg_* that stands for a folder is exported; a folder that is not there is left out.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# Imported targets of other projects -> what a user's build must find first. An unknown one stops the configuration here,
# not at the user's.
set(afdg_dependency_of_Threads "find_dependency(Threads)")
set(afdg_dependency_of_protobuf "find_dependency(Protobuf)")
set(afdg_dependency_of_gRPC "find_dependency(Protobuf)\nfind_dependency(gRPC CONFIG)")
set(afdg_dependency_of_RocksDB "find_dependency(RocksDB CONFIG)")
set(afdg_dependency_of_Boost "find_dependency(Boost)")
set(afdg_dependency_of_spdlog "find_dependency(spdlog CONFIG)")
set(afdg_dependency_of_fmt "find_dependency(fmt CONFIG)")
set(afdg_dependency_of_nlohmann_json "find_dependency(nlohmann_json CONFIG)")
set(afdg_dependency_of_tomlplusplus "find_dependency(tomlplusplus CONFIG)")
set(afdg_dependency_of_CLI11 "find_dependency(CLI11 CONFIG)")
set(afdg_dependency_of_prometheus-cpp "find_dependency(prometheus-cpp CONFIG)")
set(afdg_dependency_of_OpenSSL "find_dependency(OpenSSL)")
set(afdg_dependency_of_ZLIB "find_dependency(ZLIB)")
set(afdg_dependency_of_GTest "find_dependency(GTest)")

set(afdg_folders base proto store log kafka agents region catalog client server)
set(afdg_exported "")
foreach(folder ${afdg_folders})
  foreach(target afdg_${folder} afdg_${folder}_testing)
    if(TARGET ${target})
      list(APPEND afdg_exported ${target})
    endif()
  endforeach()
endforeach()

# Everything that they link: our own targets are exported too, others become find_dependency lines.
set(afdg_dependencies "")
set(afdg_queue ${afdg_exported})
while(afdg_queue)
  list(POP_FRONT afdg_queue afdg_target)
  set(afdg_linked "")
  foreach(property LINK_LIBRARIES INTERFACE_LINK_LIBRARIES)
    get_target_property(afdg_value ${afdg_target} ${property})
    if(afdg_value)
      list(APPEND afdg_linked ${afdg_value})
    endif()
  endforeach()
  foreach(item ${afdg_linked})
    string(REGEX REPLACE "^\\$<LINK_ONLY:(.*)>$" "\\1" item "${item}")
    if(item MATCHES "^(.+)::")
      set(afdg_package ${CMAKE_MATCH_1})
      if(afdg_package STREQUAL "afdg")
        continue()
      endif()
      if(afdg_package STREQUAL "PkgConfig")
        message(FATAL_ERROR "${afdg_target} links ${item}: an installed AFDG could not find it; link the library's own target or its name")
      endif()
      if(NOT DEFINED afdg_dependency_of_${afdg_package})
        message(FATAL_ERROR "${afdg_target} links ${item}: add how to find it to tools/cmake/afdg_install.cmake")
      endif()
      list(APPEND afdg_dependencies "${afdg_dependency_of_${afdg_package}}")
    elseif(item MATCHES "^afdg_" AND TARGET ${item} AND NOT item IN_LIST afdg_exported)
      list(APPEND afdg_exported ${item})
      list(APPEND afdg_queue ${item})
    endif()
  endforeach()
endwhile()
list(REMOVE_DUPLICATES afdg_dependencies)
list(JOIN afdg_dependencies "\n" AFDG_DEPENDENCIES)

foreach(target ${afdg_exported})
  string(REGEX REPLACE "^afdg_" "" name ${target})
  if(name STREQUAL "server")
    set(name node)  # what a program that serves agents links
  endif()
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  if(NOT TARGET afdg::${name})
    add_library(afdg::${name} ALIAS ${target})
  endif()
endforeach()

if(afdg_exported)
  install(TARGETS ${afdg_exported} EXPORT afdgTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT afdgTargets NAMESPACE afdg:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/afdg)
endif()
foreach(program afdgd afdg)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()

# Headers keep their paths, so that "agents/agent.h" is written the same in the tree and outside it. The error list is
# a .def file that a header includes. Messages are installed as generated headers and as .proto files to import.
foreach(folder ${afdg_folders})
  if(EXISTS ${PROJECT_SOURCE_DIR}/${folder})
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/afdg
      FILES_MATCHING PATTERN "*.h" PATTERN "*.def" PATTERN "compile_fail" EXCLUDE PATTERN "corpus" EXCLUDE)
  endif()
endforeach()
install(DIRECTORY ${PROJECT_BINARY_DIR}/generated/afdg DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/afdg
  FILES_MATCHING PATTERN "*.pb.h" PATTERN "*.grpc.pb.h" EXCLUDE)
if(EXISTS ${PROJECT_SOURCE_DIR}/proto/afdg)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/proto/afdg DESTINATION ${CMAKE_INSTALL_DATADIR}/afdg/proto
    FILES_MATCHING PATTERN "*.proto")
endif()

configure_package_config_file(${PROJECT_SOURCE_DIR}/tools/cmake/afdgConfig.cmake.in
  ${PROJECT_BINARY_DIR}/afdgConfig.cmake INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/afdg)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/afdgConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/afdgConfig.cmake ${PROJECT_BINARY_DIR}/afdgConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/afdg)
