# Compiles SOURCE with CASE defined; it must fail and say EXPECT, or succeed when EXPECT is empty.
separate_arguments(arguments UNIX_COMMAND "${ARGUMENTS}")
execute_process(COMMAND ${CXX} ${arguments} -fsyntax-only -DCASE=${CASE} ${SOURCE}
  RESULT_VARIABLE result ERROR_VARIABLE errors OUTPUT_QUIET)
if(EXPECT STREQUAL "")
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "case ${CASE} must compile:\n${errors}")
  endif()
elseif(result EQUAL 0)
  message(FATAL_ERROR "case ${CASE} compiled, and must not: ${EXPECT}")
elseif(NOT errors MATCHES "${EXPECT}")
  message(FATAL_ERROR "case ${CASE} does not say '${EXPECT}' but:\n${errors}")
endif()
