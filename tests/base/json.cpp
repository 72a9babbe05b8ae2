#include "base/json.h"

#include <catch2/catch.hpp>
#include <limits>

namespace lacuna {

TEST_CASE("json: members keep their order and types") {
  const JsonObject inner = JsonObject().add("read", 0.25);
  CHECK(JsonObject()
            .add("step", 12)
            .add("samples", uint64_t{18446744073709551615u})
            .add("loss", 4.5f)
            .add("done", true)
            .add("stage", "pretrain")
            .add("seconds", inner)
            .add("rates", std::vector<double>{0.1, 1, 1e-9})
            .add("names", std::vector<std::string>{"a", "b"})
            .text() ==
        R"({"step":12,"samples":18446744073709551615,"loss":4.5,"done":true,"stage":"pretrain",)"
        R"("seconds":{"read":0.25},"rates":[0.1,1,1e-09],"names":["a","b"]})");
  CHECK(JsonObject().text() == "{}");
}

TEST_CASE("json: text is escaped and what is not a number is null") {
  CHECK(json_text("a\"b\\c\n\x01\xc3\xa4") == "\"a\\\"b\\\\c\\u000a\\u0001\xc3\xa4\"");
  CHECK(json_text(std::numeric_limits<double>::quiet_NaN()) == "null");
  CHECK(json_text(-std::numeric_limits<double>::infinity()) == "null");
  CHECK(json_text(0.1 + 0.2) == "0.30000000000000004");
}

}  // namespace lacuna
