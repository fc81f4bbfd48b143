// --output and the CSV it is written in.
#include "builder/options/output.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "builder/options/csv.hpp"

namespace lade {
namespace {

using testing::ElementsAre;
using testing::Pair;

std::string output_error(const std::string& text) {
  try {
    parse_output(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.message() + (error.hint().empty() ? "" : "\nhint: " + error.hint());
  }
  return {};
}

TEST(ParseOutput, ABarePathIsADirectoryAndADashATar) {
  EXPECT_EQ(parse_output("out").type, OutputType::local);
  EXPECT_EQ(parse_output("out").dest, "out");
  EXPECT_EQ(parse_output("-").type, OutputType::tar);
  EXPECT_EQ(parse_output("-").dest, "-");
}

TEST(ParseOutput, RegistryIsAnImageThatIsPushedAndNotNamedHere) {
  const Output far = parse_output("type=registry,\"name=a/b,c\"");
  EXPECT_EQ(far.type, OutputType::image);
  EXPECT_TRUE(far.push);
  EXPECT_FALSE(far.keeps_names());
  EXPECT_THAT(far.names, ElementsAre("a/b", "c"));
  EXPECT_TRUE(parse_output("type=registry,store=true").keeps_names());
  EXPECT_TRUE(parse_output("type=image,push=true").keeps_names());
  EXPECT_FALSE(parse_output("type=image,push=true,store=false").keeps_names());
  const Output bare =
      parse_output("type=image,name=h:5000/a,push=true,push-by-digest=true,registry.insecure=1");
  EXPECT_TRUE(bare.push_by_digest);
  EXPECT_TRUE(bare.insecure);
}

TEST(OutputOf, WhatIsPushedThroughADaemonHasANameHereWhenAskedForOnly) {
  EXPECT_TRUE(output_of("image", {{"name", "a/b"}}).keeps_names());
  EXPECT_FALSE(output_of("image", {{"name", "a/b"}, {"push", "true"}}).keeps_names());
  EXPECT_TRUE(
      output_of("image", {{"name", "a/b"}, {"push", "true"}, {"store", "true"}}).keeps_names());
}

TEST(ParseOutput, PushAttributesMustMakeSense) {
  EXPECT_THAT(output_error("type=oci,dest=x,push=true"), testing::HasSubstr("are for type=image"));
  EXPECT_THAT(output_error("type=local,dest=x,store=false"),
              testing::HasSubstr("are for type=image"));
  EXPECT_THAT(output_error("type=image,push-by-digest=true"),
              testing::HasSubstr("needs push=true"));
  EXPECT_THAT(output_error("type=registry,name=h:5000/a:1,push-by-digest=true"),
              testing::HasSubstr("'h:5000/a:1', which has a tag"));
  EXPECT_THAT(output_error("type=image,psuh=true"), testing::HasSubstr("did you mean push?"));
}

TEST(ParseOutput, TypesAreKnownByName) {
  const std::pair<const char*, OutputType> cases[] = {
      {"type=image", OutputType::image},          {"type=oci,dest=x", OutputType::oci},
      {"type=docker,dest=x", OutputType::docker}, {"type=local,dest=x", OutputType::local},
      {"type=tar,dest=-", OutputType::tar},
  };
  for (const auto& [text, type] : cases) EXPECT_EQ(parse_output(text).type, type) << text;
}

TEST(ParseOutput, OptionsAreRead) {
  const Output output = parse_output(
      "type=oci,dest=x.tar,\"name=a,b\",tar=false,compression=zstd,compression-level=7,force-"
      "compression=true,"
      "oci-mediatypes=false,rewrite-timestamp=1,annotation.k=v=w");
  EXPECT_EQ(output.dest, "x.tar");
  EXPECT_THAT(output.names, ElementsAre("a", "b"));
  EXPECT_FALSE(output.as_tar);
  EXPECT_EQ(output.image.compression.type, LayerCompression::zstd);
  EXPECT_EQ(output.image.compression.level, 7);
  EXPECT_TRUE(output.image.compression.force);
  EXPECT_FALSE(output.image.oci_media_types);
  EXPECT_TRUE(output.image.rewrite_timestamp);
  EXPECT_THAT(output.image.annotations, ElementsAre(Pair("k", "v=w")));
}

TEST(ParseOutput, MediaTypesAreOcisUnlessAskedOtherwise) {
  EXPECT_TRUE(parse_output("type=docker,dest=x").image.oci_media_types);
  EXPECT_FALSE(parse_output("type=docker,dest=x,oci-mediatypes=false").image.oci_media_types);
  EXPECT_TRUE(parse_output("type=oci,dest=x").image.oci_media_types);
}

TEST(ParseOutput, ArchivesWithoutADestinationGoToStandardOutput) {
  EXPECT_EQ(parse_output("type=oci").dest, "-");
  EXPECT_EQ(parse_output("type=tar").dest, "-");
  EXPECT_TRUE(parse_output("type=docker").load);
}

TEST(ParseOutput, KeysMayBeInAnyCase) {
  EXPECT_EQ(parse_output("Type=oci, DEST=x").dest, "x");
}

TEST(ParseOutput, MistakesAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"type=oic,dest=x",
       "--output type=oic is not supported\nhint: use one of: image, registry, oci, docker, local, "
       "tar, cacheonly"},
      {"type=local", "--output needs dest=PATH for this type"},
      {"type=oci,tar=false", "--output needs dest=PATH for this type"},
      {"type=local,dest=-", "--output type=local cannot go to standard output\nhint: use type=tar"},
      {"type=oci,dst=x", "--output has no option 'dst'\nhint: did you mean dest?"},
      {"type=oci,utterly-unknown=x", "--output has no option 'utterly-unknown'"},
      {"type=oci,dest", "--output: 'dest' is not of the form key=value"},
      {"type=oci,dest=x,tar=maybe", "--output tar=maybe: expected true or false"},
      {"type=oci,dest=x,compression=lzma",
       "--output compression=lzma is not supported\nhint: use one of: gzip, zstd, uncompressed"},
      {"type=oci,dest=x,compression-level=high",
       "--output compression-level=high: expected a number"},
      {"type=oci,\"dest=x", "a quote does not end in 'type=oci,\"dest=x'"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(output_error(text), message);
}

TEST(ParseCsv, FieldsMayBeQuoted) {
  EXPECT_THAT(parse_csv("a,b"), ElementsAre("a", "b"));
  EXPECT_THAT(parse_csv(""), ElementsAre(""));
  EXPECT_THAT(parse_csv("a,,"), ElementsAre("a", "", ""));
  EXPECT_THAT(parse_csv("\"a,b\",c"), ElementsAre("a,b", "c"));
  EXPECT_THAT(parse_csv("\"a\"\"b\""), ElementsAre("a\"b"));
  EXPECT_THAT(parse_csv("a\"b"), ElementsAre("a\"b"));
  EXPECT_THROW(parse_csv("\"a"), Error);
}

}  // namespace
}  // namespace lade
