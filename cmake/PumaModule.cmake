# puma_add_module(NAME sources...): a module of runnables, NAME.so, in the build tree and, out of tree, wherever the project builds it.
function(puma_add_module name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE puma::puma)
  target_compile_features(${name} PRIVATE cxx_std_20)
  set_target_properties(${name} PROPERTIES PREFIX "" CXX_VISIBILITY_PRESET hidden)
endfunction()
