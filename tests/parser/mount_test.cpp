#include "parser/mount.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"

namespace lade::parser {
namespace {

using testing::HasSubstr;

ResolvedMount resolve(const std::string& options) {
  const auto run = parse_command<Run>("RUN --mount=" + options + " x");
  return resolve_mount(run.mounts.at(0), [](std::string_view word) {
    return process_word(word,
                        [](std::string_view name) {
                          return name == "T" ? std::optional<std::string>("cache") : std::nullopt;
                        })
        .text;
  });
}

TEST(MountTest, DefaultsToAReadOnlyBind) {
  const auto mount = resolve("target=/x");
  EXPECT_EQ(mount.type, MountType::bind);
  EXPECT_TRUE(mount.read_only);
  EXPECT_EQ(mount.target, "/x");
}

TEST(MountTest, CacheAndTmpfsAreWritable) {
  EXPECT_FALSE(resolve("type=cache,target=/x").read_only);
  EXPECT_FALSE(resolve("type=tmpfs,target=/x").read_only);
  EXPECT_TRUE(resolve("type=secret,id=x").read_only);
}

TEST(MountTest, AccessCanBeSaidInFourWays) {
  EXPECT_FALSE(resolve("target=/x,rw").read_only);
  EXPECT_FALSE(resolve("target=/x,readwrite=true").read_only);
  EXPECT_FALSE(resolve("target=/x,ro=0").read_only);
  EXPECT_TRUE(resolve("type=cache,target=/x,readonly").read_only);
  EXPECT_TRUE(resolve("type=cache,target=/x,rw=false").read_only);
}

TEST(MountTest, ExpandsEveryValue) {
  const auto mount = resolve("type=$T,id=a-$T,dst=/c/$T,src=$UNSET,from=s,mode=0700,uid=1,gid=2");
  EXPECT_EQ(mount.type, MountType::cache);
  EXPECT_EQ(mount.id, "a-cache");
  EXPECT_EQ(mount.target, "/c/cache");
  EXPECT_EQ(mount.source, "");
  EXPECT_EQ(mount.from, "s");
  EXPECT_EQ(mount.mode, 0700u);
  EXPECT_EQ(mount.uid, 1u);
  EXPECT_EQ(mount.gid, 2u);
}

TEST(MountTest, ReadsTheOptionsOfEachType) {
  EXPECT_EQ(resolve("type=cache,target=/x,sharing=LOCKED").sharing, CacheSharing::locked);
  EXPECT_EQ(resolve("type=cache,target=/x,sharing=private").sharing, CacheSharing::private_);
  EXPECT_EQ(resolve("type=tmpfs,target=/x,size=2k").size, 2048);
  EXPECT_TRUE(resolve("type=secret,id=x,required").required);
  EXPECT_FALSE(resolve("type=ssh,required=false").required);
  EXPECT_EQ(resolve("type=secret,id=x,env=E").env, "E");
  EXPECT_THROW(resolve("type=secret,id=x,env="), Error);
  EXPECT_EQ(resolve("TYPE=Secret,ID=x").type, MountType::secret);
}

TEST(MountTest, RejectsWhatMakesNoSense) {
  const std::vector<std::pair<const char*, const char*>> rows{
      {"type=bnd,target=/x", "unsupported mount type 'bnd'\nhint: did you mean bind?"},
      {"tagret=/x", "unexpected key 'tagret' in --mount\nhint: did you mean target?"},
      {"target", "invalid field 'target' must be a key=value pair"},
      {"nonsense", "invalid field 'nonsense' must be a key=value pair"},
      {"target=/x,ro=maybe", "invalid value for ro: 'maybe'"},
      {"target=/x,required", "unexpected key 'required' for mount type 'bind'"},
      {"required,type=secret,id=x", "unexpected key 'required' for mount type 'bind'"},
      {"target=/x,size=1k", "unexpected key 'size' for mount type 'bind'"},
      {"type=tmpfs,target=/x,size=big", "invalid value for size: 'big'"},
      {"type=cache,target=/x,sharing=lokced", "unsupported sharing value 'lokced'"},
      {"target=/x,sharing=shared", "invalid cache sharing set for bind mount"},
      {"type=cache,target=/x,mode=9", "invalid value for mode: '9'"},
      {"type=cache,target=/x,uid=-1", "invalid value for uid: '-1'"},
      {"type=cache,target=/x,gid=4294967296", "invalid value for gid"},
      {"target=/x,mode=0700", "mode not allowed for 'bind' type mounts"},
      {"type=tmpfs,target=/x,uid=1", "uid not allowed for 'tmpfs' type mounts"},
      {"type=secret", "one of source, target, id is required"},
      {"type=secret,id=x,from=y", "should not have a from"},
      {"type=secret,id=x,sharing=shared", "should not define sharing"},
      {"type=secret,id=x,source=y", "cannot have both source and id"}};
  for (const auto& [options, expected] : rows) {
    SCOPED_TRACE(options);
    EXPECT_THAT(error_of([&, o = options] { resolve(o); }), HasSubstr(expected));
  }
}

}  // namespace
}  // namespace lade::parser
