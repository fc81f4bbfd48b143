#include "solver/ops/file_mode.hpp"

#include <gtest/gtest.h>

namespace lade {
namespace {

TEST(OctalMode, TakesDigitsBelowEight) {
  EXPECT_EQ(octal_mode("755"), 0755u);
  EXPECT_EQ(octal_mode("0644"), 0644u);
  EXPECT_EQ(octal_mode("7777"), 07777u);
  EXPECT_EQ(octal_mode("0"), 0u);
  for (const char* text : {"", "8", "u+x", "0x1", "-1"}) EXPECT_FALSE(octal_mode(text)) << text;
}

struct ModeCase {
  const char* text;
  uint32_t before;
  bool directory;
  uint32_t after;
};

TEST(ApplyMode, IsChmods) {
  // Checked against chmod(1) with umask 0.
  const ModeCase cases[] = {
      {"700", 0644, false, 0700},
      {"u+x", 0644, false, 0744},
      {"+x", 0644, false, 0755},
      {"a-w", 0666, false, 0444},
      {"go=", 0777, false, 0700},
      {"u=rwX,go=rX", 0600, false, 0644},
      {"u=rwX,go=rX", 0700, false, 0755},
      {"u=rwX,go=rX", 0600, true, 0755},
      {"a+X", 0644, false, 0644},
      {"a+X", 0744, false, 0755},
      {"a+X", 0644, true, 0755},
      {"g=u", 0740, false, 0770},
      {"o=g", 0750, false, 0755},
      {"u=o", 0754, false, 0454},
      {"u+s", 0755, false, 04755},
      {"g+s", 0755, false, 02755},
      {"+t", 0755, true, 01755},
      {"u-s", 04755, false, 0755},
      {"u+rw-x", 0500, false, 0600},
      {"a=r,u+w", 0777, false, 0644},
      {"=r", 0777, false, 0444},
      {"o+t", 0755, true, 0755},
      {"ug+rw", 0, false, 0660},
      {"uo+t", 0755, false, 01755},
      {"-X", 0711, false, 0600},
      {"a-x,a+X", 0755, false, 0755},  // what X asks is what was before all clauses
      {"+X", 0644, false, 0644},
  };
  for (const auto& c : cases)
    EXPECT_EQ(apply_mode(c.text, c.before, c.directory), c.after) << c.text;
}

TEST(ApplyMode, HasTheOdditiesOfBsdsSetmode) {
  const ModeCase cases[] = {
      {"u=g", 04755, false, 04555},  // copying keeps what is no permission
      {"g=u", 02750, false, 02770}, {"go=u-w", 0750, false, 0755},
      {"u=rg", 0750, false, 0550},  // in the order in which they are written
      {"u=gr", 0750, false, 0450},  {"u+go", 0047, false, 0747},
      {"u-g", 0770, false, 0070},   {"u=ru", 0370, false, 0470},
      {"=u", 06740, false, 06777},  {"+rt", 0000, true, 01000},  // about the sticky bit only
      {"=rt", 0755, true, 01755},   {"u=t", 04755, true, 01055},
      {"o=s", 0755, false, 0750},   {"=s", 0755, false, 06000},
      {"u=Xs", 0655, false, 04155},
  };
  for (const auto& c : cases)
    EXPECT_EQ(apply_mode(c.text, c.before, c.directory), c.after) << c.text;
}

}  // namespace
}  // namespace lade
