# Headers that most files of a kind include, compiled once; it halves the time of a build. Nothing may rely on them: with
# PUMA_PRECOMPILE=OFF, as in the preset clang, each file gets only what it includes.
include_guard(GLOBAL)
option(PUMA_PRECOMPILE "Precompile the headers that most files include" ON)

set(PUMA_CORE_HEADERS <algorithm> <atomic> <cstdint> <cstring> <functional> <map> <memory> <mutex> <optional> <span> <string> <string_view> <vector>
    <absl/status/statusor.h> <absl/strings/str_cat.h> <absl/time/time.h>)

# puma_precompiled(KIND LINK ... HEADERS ...): offers the headers to puma_precompile(TARGET KIND). An executable can't share a
# library's: EXECUTABLE makes them for executables.
function(puma_precompiled kind)
  cmake_parse_arguments(KIND "EXECUTABLE" "" "LINK;HEADERS" ${ARGN})
  if(NOT PUMA_PRECOMPILE)
    return()
  endif()
  set(source ${PROJECT_BINARY_DIR}/precompiled/${kind}.cc)
  file(CONFIGURE OUTPUT ${source} CONTENT "int main() {}\n")
  if(KIND_EXECUTABLE)
    add_executable(puma_precompiled_${kind} ${source})
  else()
    add_library(puma_precompiled_${kind} OBJECT ${source})
  endif()
  target_link_libraries(puma_precompiled_${kind} PRIVATE puma_rules ${KIND_LINK})
  target_precompile_headers(puma_precompiled_${kind} PRIVATE ${PUMA_CORE_HEADERS} ${KIND_HEADERS})
endfunction()

# Lets a target use them, if there are any of this kind. The first choice counts.
function(puma_precompile target kind)
  get_target_property(own ${target} PRECOMPILE_HEADERS)
  get_target_property(shared ${target} PRECOMPILE_HEADERS_REUSE_FROM)
  if(TARGET puma_precompiled_${kind} AND NOT own AND NOT shared)
    target_precompile_headers(${target} REUSE_FROM puma_precompiled_${kind})
  endif()
endfunction()
