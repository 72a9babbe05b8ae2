// The main function of the unit tests, where the package of Catch2 brings none.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
