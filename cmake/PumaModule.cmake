# puma_add_module(NAME [PRECOMPILE] sources...): a module of runnables, NAME.so, in the build tree and, out of tree, wherever the project
# builds it. PRECOMPILE compiles <puma/module.h> once for all its sources: each takes a second less; g++ needs 5 s for it once, clang 1.6.
function(puma_add_module name)
  cmake_parse_arguments(PARSE_ARGV 1 MODULE "PRECOMPILE" "" "")
  add_library(${name} MODULE ${MODULE_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE puma::puma)
  target_compile_features(${name} PRIVATE cxx_std_20)
  set_target_properties(${name} PROPERTIES PREFIX "" CXX_VISIBILITY_PRESET hidden)
  if(MODULE_PRECOMPILE AND (NOT DEFINED PUMA_PRECOMPILE OR PUMA_PRECOMPILE))  # PUMA's own tree has that option
    target_precompile_headers(${name} PRIVATE <puma/module.h>)
  endif()
endfunction()
