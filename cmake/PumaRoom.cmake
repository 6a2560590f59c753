# puma_room(NAME SOURCES ... LINK ... [PRIVATE_LINK ...]): one library target per room, puma_NAME, alias puma::NAME.
include_guard(GLOBAL)
include(${CMAKE_CURRENT_LIST_DIR}/PumaPrecompiled.cmake)

add_library(puma_rules INTERFACE)
target_include_directories(puma_rules INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
target_compile_options(puma_rules INTERFACE -Wall -Wextra -Wno-missing-field-initializers $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety> $<$<BOOL:${PUMA_WERROR}>:-Werror>)
if(PUMA_FUZZ)
  target_compile_options(puma_rules INTERFACE -fsanitize=fuzzer-no-link)  # coverage, for tests/fuzz
endif()
if(PUMA_SANITIZE STREQUAL "address")
  target_compile_options(puma_rules INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(puma_rules INTERFACE -fsanitize=address,undefined)
elseif(PUMA_SANITIZE STREQUAL "thread")
  # g++ warns that it does not see fences; the rings' tests under it need none (one map, fenced mode).
  target_compile_options(puma_rules INTERFACE -fsanitize=thread -fno-omit-frame-pointer $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
  target_link_options(puma_rules INTERFACE -fsanitize=thread)
endif()

# Of tests a debugger needs lines, no variables: a third of the compiler's time, half of the linker's.
add_library(puma_test_rules INTERFACE)
target_compile_options(puma_test_rules INTERFACE $<$<CONFIG:RelWithDebInfo>:-g1>)
target_link_libraries(puma_test_rules INTERFACE puma_rules)

function(puma_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(puma_${name} STATIC ${ROOM_SOURCES})
  add_library(puma::${name} ALIAS puma_${name})
  target_link_libraries(puma_${name} PUBLIC $<BUILD_INTERFACE:puma_rules> ${ROOM_LINK} PRIVATE ${ROOM_PRIVATE_LINK})
  cmake_language(EVAL CODE "cmake_language(DEFER CALL puma_precompile puma_${name} ${PUMA_PRECOMPILED_KIND})")  # the folder may choose its own
endfunction()

# puma_test(NAME SOURCES ... LINK ... [LABELS ...] [TIMEOUT s]): one GoogleTest program, each test case a ctest.
function(puma_test name)
  cmake_parse_arguments(TEST "" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 120)
  endif()
  if(NOT TEST_LABELS)
    set(TEST_LABELS unit)
  endif()
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE puma_test_rules ${TEST_LINK} GTest::gmock_main)
  puma_precompile(${name} test)
  include(GoogleTest)
  set(prefix "")
  if(PUMA_SANITIZE)  # tests/run lists the tests of several builds together; sanitizers are slow
    set(prefix "${PUMA_SANITIZE}-sanitizer:")
    math(EXPR TEST_TIMEOUT "${TEST_TIMEOUT} * 4")
  endif()
  set(environment "")
  if(PUMA_SANITIZE STREQUAL "thread")
    set(environment ENVIRONMENT "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/thread_sanitizer.supp")
  endif()
  gtest_discover_tests(${name} TEST_PREFIX "${prefix}" DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS "${TEST_LABELS}" TIMEOUT ${TEST_TIMEOUT} ${environment})
endfunction()
