# What `cmake --install` puts where, and the package that find_package(puma) finds there.
include(CMakePackageConfigHelpers)

set(PUMA_MODULE_DIR lib/puma/modules)   # where puma-host looks, seen from its own folder
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/puma)

# The executables that this build has. puma-host looks for the other two beside itself.
foreach(program puma-host puma-shim puma-worker puma-ctl)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()

# The SDK: libpuma, its headers, its CMake package.
install(TARGETS puma EXPORT pumaTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS puma_logging_yaml LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})   # libpuma loads it, from beside itself
install(DIRECTORY worker/include/puma DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(TARGETS puma_exec LIBRARY DESTINATION lib/puma/builtin)   # the module that every host has
install(EXPORT pumaTargets NAMESPACE puma:: DESTINATION ${package_dir})
configure_package_config_file(cmake/pumaConfig.cmake.in ${PROJECT_BINARY_DIR}/package/pumaConfig.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_FULL_BINDIR PUMA_MODULE_DIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/pumaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/package/pumaConfig.cmake ${PROJECT_BINARY_DIR}/package/pumaConfigVersion.cmake cmake/PumaModule.cmake cmake/PumaTest.cmake
              cmake/puma_test_main.cc
        DESTINATION ${package_dir})

# The client library, for programs that drive a host: the component "client".
if(TARGET puma_client)
  set_target_properties(puma_client PROPERTIES EXPORT_NAME client)
  set_target_properties(puma_grpc PROPERTIES EXPORT_NAME grpc)
  set_target_properties(puma_proto PROPERTIES EXPORT_NAME proto)
  install(TARGETS puma_client puma_grpc puma_proto EXPORT pumaClientTargets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
          INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT pumaClientTargets NAMESPACE puma:: DESTINATION ${package_dir})
  install(DIRECTORY client/include/puma/client DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/puma FILES_MATCHING PATTERN "*.h")
  install(DIRECTORY ${PROJECT_BINARY_DIR}/proto/puma/v1 DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/puma
          FILES_MATCHING PATTERN "*.pb.h" PATTERN "*.grpc.pb.h" EXCLUDE)
endif()

# The example module, the promise to clients, and the service.
if(TARGET edges)
  install(TARGETS edges LIBRARY DESTINATION ${PUMA_MODULE_DIR})
endif()
if(PUMA_BUILD_SERVER)
  install(DIRECTORY proto/puma DESTINATION ${CMAKE_INSTALL_DATADIR}/puma/proto FILES_MATCHING PATTERN "*.proto")
  configure_file(deploy/puma.service.in ${PROJECT_BINARY_DIR}/package/puma.service @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/package/puma.service DESTINATION lib/systemd/system)
endif()
