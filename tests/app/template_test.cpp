#include "app/ui/template.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "app/ui/listing.hpp"
#include "base/error.hpp"

namespace lade {
namespace {

using testing::HasSubstr;

nlohmann::json data() {
  return nlohmann::json::parse(R"({
    "ID": "abcdef", "Tags": ["a:1", "b:2"], "Size": 12, "Empty": null, "Yes": true,
    "Config": {"Cmd": ["sh", "-c"], "Labels": {"k": "v", "x.y": "dotted"}}})");
}

std::string render(const std::string& text) {
  return Template(text).render(data());
}

struct Case {
  const char* text;
  const char* result;
};

TEST(Template, RendersAsGoDoes) {
  const Case cases[] = {
      {"plain", "plain"},
      {"{{.ID}}:{{ .Size }}", "abcdef:12"},
      {"{{.Tags}} {{.Config.Labels}}", "[a:1 b:2] map[k:v x.y:dotted]"},
      {"{{.Empty}} {{.Yes}}", "<nil> true"},
      {"{{json .Config.Cmd}}", R"(["sh","-c"])"},
      {"{{.Tags | json}}", R"(["a:1","b:2"])"},
      {"{{index .Tags 1}} {{index .Config.Labels \"x.y\"}}", "b:2 dotted"},
      {"{{json (index .Tags 0)}}", R"("a:1")"},
      {"<{{index .Config.Labels \"none\"}}> <{{index .Empty \"k\"}}>", "<> <>"},
      {"<{{if index .Empty \"k\"}}set{{else}}not{{end}}>", "<not>"},
      {"{{len .Tags}} {{join .Tags \", \"}} {{upper .ID}}", "2 a:1, b:2 ABCDEF"},
      {"{{truncate .ID 3}} {{index (split \"a/b\" \"/\") 1}}", "abc b"},
      {"{{range .Tags}}<{{.}}>{{else}}none{{end}}", "<a:1><b:2>"},
      {"{{range .Config.Empty}}x{{else}}none{{end}}", "none"},
      {"{{if .Empty}}yes{{else if eq .ID \"abcdef\"}}same{{else}}no{{end}}", "same"},
      {"{{with .Config}}{{.Cmd}}{{$.ID}}{{end}}", "[sh -c]abcdef"},
      {"a {{- .ID -}} b{{/* a comment */}}", "aabcdefb"},
      {R"({{.ID}}\t{{.Size}}\n)", "abcdef\t12\n"},
      {"{{.Config.Labels.none}}", "<no value>"},
      {"{{\"}}\"}}", "}}"},
      {"{{println .ID 3}}", "abcdef 3\n"},
  };
  for (const auto& one : cases) EXPECT_EQ(render(one.text), one.result) << one.text;
}

TEST(Template, SaysWhatItDoesNotUnderstand) {
  const Case cases[] = {
      {"{{.Nope}}", "there is no field Nope"},
      {"{{.ID", "not closed"},
      {"{{frob .ID}}", "there is no function 'frob'"},
      {"{{if .ID}}", "has no {{end}}"},
      {"{{end}}", "too many"},
      {"{{index .Tags 7}}", "out of range"},
      {"{{.ID.Sub}}", "cannot take the field Sub"},
      {"{{len}}", "takes 1 arguments"},
      {"{{len .ID .ID}}", "takes 1 arguments, not 2"},
      {"{{}}", "empty"},
      {"{{.ID | .Size}}", "only functions"},
      {"{{\"open}}", "not closed"},
      {"{{(.ID}}", "( is not closed"},
  };
  for (const auto& one : cases) {
    try {
      const std::string out = render(one.text);
      ADD_FAILURE() << one.text << " gave " << out;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_THAT(error.message(), HasSubstr(one.result));
    }
  }
}

TEST(Template, DeepNestingIsRefused) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "{{if .ID}}";
  EXPECT_THROW(Template{text}, Error);
  EXPECT_THROW(Template{"{{" + std::string(1000, '(') + ".ID}}"}, Error);
}

TEST(Listing, AlignsColumnsUnderTheirHeaders) {
  const ListingKind kind{"{{.Name}}\t{{.Size}}", {{"Name", "NAME"}, {"Size", "SIZE"}}};
  const std::vector<nlohmann::json> rows = {{{"Name", "a"}, {"Size", "1"}},
                                            {{"Name", "rather long"}, {"Size", "2"}}};
  EXPECT_EQ(listing(kind, "", rows), "NAME          SIZE\na             1\nrather long   2\n");
  EXPECT_EQ(listing(kind, "table {{.Size}}", rows), "SIZE\n1\n2\n");
  EXPECT_EQ(listing(kind, "{{.Size}}!", rows), "1!\n2!\n");
  EXPECT_EQ(listing(kind, "json", {rows[0]}), "{\"Name\":\"a\",\"Size\":\"1\"}\n");
}

TEST(Listing, TimesAndSizesAreWordedAsDockerDoes) {
  EXPECT_EQ(human_duration(0), "Less than a second");
  EXPECT_EQ(human_duration(59), "59 seconds");
  EXPECT_EQ(human_duration(90), "About a minute");
  EXPECT_EQ(human_duration(3600), "About an hour");
  EXPECT_EQ(human_duration(47 * 3600), "47 hours");
  EXPECT_EQ(human_duration(15 * 86400), "2 weeks");
  EXPECT_EQ(human_duration(800 * 86400), "2 years");
  EXPECT_EQ(human_size(0), "0B");
  EXPECT_EQ(human_size(999), "999B");
  EXPECT_EQ(human_size(77'800'000), "77.8MB");
  EXPECT_EQ(human_size(999'900), "1MB");
}

}  // namespace
}  // namespace lade
