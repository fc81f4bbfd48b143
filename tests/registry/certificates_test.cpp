#include "registry/net/certificates.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "tests/support/error_of.hpp"

namespace lade {
namespace {

using ::testing::HasSubstr;

class CertificatesTest : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    const std::string path = dir_.path() + "/" + name;
    sys::make_dirs(path.substr(0, path.rfind('/')));
    sys::write_file_atomically(path, text);
  }
  TlsOptions read(const std::string& host) const {
    return host_certificates({dir_.path() + "/user", dir_.path() + "/system"}, host);
  }

  TempDir dir_ = TempDir::create(::testing::TempDir());
};

TEST_F(CertificatesTest, AreThoseOfTheHostWithItsPort) {
  write("system/h:5000/b.crt", "B");
  write("system/h:5000/a.crt", "A");
  write("system/h:5000/readme", "x");
  write("system/h/other.crt", "C");
  EXPECT_EQ(read("h:5000").ca, "A\nB\n");
  EXPECT_EQ(read("h").ca, "C\n");
  EXPECT_EQ(read("h:5001").ca, "");
  EXPECT_FALSE(read("h:5000").verify.has_value());
}

TEST_F(CertificatesTest, TheFirstDirectoryOfAHostIsAllThatCounts) {
  write("system/h/ca.crt", "system");
  write("user/h/ca.crt", "user");
  EXPECT_EQ(read("h").ca, "user\n");
}

TEST_F(CertificatesTest, AClientCertificateComesWithItsKey) {
  write("user/h/z.cert", "");
  write("user/h/z.key", "");
  write("user/h/m.cert", "");
  write("user/h/m.key", "");
  EXPECT_EQ(read("h").certificate, dir_.path() + "/user/h/m.cert");
  EXPECT_EQ(read("h").key, dir_.path() + "/user/h/m.key");
  write("user/i/lonely.cert", "");
  EXPECT_THAT(error_of([&] { read("i"); }),
              HasSubstr("lonely.cert' has no 'lonely.key' beside it"));
  write("user/j/lonely.key", "");
  EXPECT_THAT(error_of([&] { read("j"); }),
              HasSubstr("lonely.key' has no 'lonely.cert' beside it"));
}

}  // namespace
}  // namespace lade
