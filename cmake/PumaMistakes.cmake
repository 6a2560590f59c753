# puma_mistakes(FILE...): tests that the compiler refuses each mistake in a FILE with its one short text. A mistake stands in
#   #if defined(CASE)  // the text, or how it begins
# (or #elif) and is the test the_compiler_explains_<case>. Without any of them FILE compiles: the_compiler_accepts_<room>_<file>.
# The public headers are compiled once for all cases, by a fixture, which takes what it has made away in the end.
include_guard(GLOBAL)

function(puma_add_mistake name)
  add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} -DCOMPILER=${CMAKE_CXX_COMPILER} -DCOMPILER_ID=${CMAKE_CXX_COMPILER_ID}
                                -DROOT=${PROJECT_SOURCE_DIR} -DHEADERS=${PROJECT_BINARY_DIR}/mistakes/headers.h
                                ${ARGN} -P ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/compile_mistake.cmake)
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS unit)
endfunction()

function(puma_mistakes_fixture)
  get_property(there GLOBAL PROPERTY puma_mistakes_fixture)
  if(there)
    return()
  endif()
  set_property(GLOBAL PROPERTY puma_mistakes_fixture TRUE)
  set(dir ${PROJECT_BINARY_DIR}/mistakes)
  file(GLOB headers RELATIVE ${PROJECT_SOURCE_DIR}/worker/include CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/worker/include/puma/*.h)
  list(REMOVE_ITEM headers puma/describe.h puma/protobuf.h)  # other people's headers: they take as long as all others
  list(TRANSFORM headers REPLACE "(.+)" "#include <\\1>\n")
  list(JOIN headers "" text)
  file(CONFIGURE OUTPUT ${dir}/headers.h CONTENT "${text}")
  puma_add_mistake(the_compiler_reads_the_public_headers -DCASE=HEADERS)
  set_tests_properties(the_compiler_reads_the_public_headers PROPERTIES FIXTURES_SETUP puma_mistakes)
  add_test(NAME the_compiler_forgets_the_public_headers
           COMMAND ${CMAKE_COMMAND} -E rm -f ${dir}/headers.h.gch ${dir}/headers.h.pch)
  set_tests_properties(the_compiler_forgets_the_public_headers PROPERTIES FIXTURES_CLEANUP puma_mistakes LABELS unit)
endfunction()

function(puma_mistakes)
  if(PUMA_SANITIZE)  # the same compiler
    return()
  endif()
  puma_mistakes_fixture()
  get_filename_component(room ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  foreach(file ${ARGN})
    set(path ${CMAKE_CURRENT_SOURCE_DIR}/${file})
    get_filename_component(stem ${file} NAME_WE)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
    puma_add_mistake(the_compiler_accepts_${room}_${stem} -DFILE=${path} -DCASE=NONE)
    file(STRINGS ${path} lines REGEX "^#(el)?if defined\\([A-Z_]+\\) *// ")
    foreach(line IN LISTS lines)
      string(REGEX REPLACE "^#(el)?if defined\\(([A-Z_]+)\\).*" "\\2" case "${line}")
      string(TOLOWER ${case} name)
      puma_add_mistake(the_compiler_explains_${name} -DFILE=${path} -DCASE=${case})
      set_tests_properties(the_compiler_explains_${name} PROPERTIES FIXTURES_REQUIRED puma_mistakes)
    endforeach()
  endforeach()
endfunction()
