#include <cstdlib>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/base64.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "registry/auth/credential_helper.hpp"
#include "registry/auth/credential_store.hpp"
#include "tests/support/error_of.hpp"

namespace lade {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

class CredentialsTest : public ::testing::Test {
 protected:
  CredentialsTest() : old_path_(std::getenv("PATH")) {
    setenv("PATH", (dir_.path() + ":" + old_path_).c_str(), 1);
  }
  ~CredentialsTest() override { setenv("PATH", old_path_.c_str(), 1); }

  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    const std::string path = dir_.path() + "/" + name;
    sys::write_file_atomically(path, text, mode);
    return path;
  }
  /// A credential helper that is a shell script.
  void helper(const std::string& name, const std::string& script) {
    write("docker-credential-" + name, "#!/bin/sh\n" + script, 0755);
  }
  /// "user:password" found for the names.
  static std::string find(const std::vector<std::string>& files, const std::string& registry,
                          const std::string& repository = "") {
    RegistryFiles all;
    all.credentials = files;
    const Credentials found = CredentialStore(all).find(registry, repository);
    return found.empty() ? "" : found.user + ":" + found.password;
  }
  static std::string auth(const std::string& key, const std::string& user) {
    return fmt::format(R"("{}":{{"auth":"{}"}})", key, base64(user + ":pw"));
  }
  std::string read(const std::string& name) {
    return sys::read_file(dir_.path() + "/" + name).value_or("none");
  }

  TempDir dir_ = TempDir::create(::testing::TempDir());
  std::string old_path_;
};

TEST_F(CredentialsTest, FindsTheLongestKey) {
  const auto file = write("auth.json", "{\"auths\":{" + auth("h:5000", "host") + "," +
                                           auth("h:5000/team", "team") + "," +
                                           auth("h:5000/team/app", "app") + "}}");
  EXPECT_EQ(find({file}, "h:5000", "team/app"), "app:pw");
  EXPECT_EQ(find({file}, "h:5000", "team/app/sub"), "app:pw");
  EXPECT_EQ(find({file}, "h:5000", "team/apple"), "team:pw");
  EXPECT_EQ(find({file}, "h:5000", "teams"), "host:pw");
  EXPECT_EQ(find({file}, "h", "team/app"), "");
}

TEST_F(CredentialsTest, KnowsTheSpellingsOfKeys) {
  for (const char* key : {"https://index.docker.io/v1/", "index.docker.io", "docker.io",
                          "registry-1.docker.io", "http://index.docker.io/v1"}) {
    const auto file = write("config.json", "{\"auths\":{" + auth(key, "hub") + "}}");
    EXPECT_EQ(find({file}, "docker.io", "library/debian"), "hub:pw") << key;
  }
  const auto file =
      write("config.json", "{\"auths\":{" + auth("https://h.example/v2/", "u") + "}}");
  EXPECT_EQ(find({file}, "h.example", "x"), "u:pw");
  EXPECT_EQ(credentials_key("docker.io"), "https://index.docker.io/v1/");
  EXPECT_EQ(credentials_key("h:5000"), "h:5000");
}

TEST_F(CredentialsTest, AsksTheFilesInOrder) {
  const auto first = write("a.json", "{\"auths\":{" + auth("a", "first") + "}}");
  const auto second =
      write("b.json", "{\"auths\":{" + auth("a/x", "second") + "," + auth("b", "b") + "}}");
  EXPECT_EQ(find({first, second}, "a", "x"), "first:pw");
  EXPECT_EQ(find({first, second}, "b"), "b:pw");
  EXPECT_EQ(find({dir_.path() + "/missing", write("empty", ""), second}, "b"), "b:pw");
}

TEST_F(CredentialsTest, ReadsEveryKindOfEntry) {
  const auto file = write("c.json", R"({"auths":{
      "plain":{"username":"u","password":"p"},
      "colons":{"auth":")" + base64("u:p:q") +
                                        R"("},
      "zeros":{"auth":")" + base64(std::string("u:p\0\0", 5)) +
                                        R"("},
      "token":{"auth":")" + base64("u:") +
                                        R"(","identitytoken":"id"},
      "nothing":{}},"HttpHeaders":{"X":"y"}})");
  EXPECT_EQ(find({file}, "plain"), "u:p");
  EXPECT_EQ(find({file}, "colons"), "u:p:q");
  EXPECT_EQ(find({file}, "zeros"), "u:p");
  EXPECT_EQ(find({file}, "nothing"), "");
  RegistryFiles files;
  files.credentials = {file};
  EXPECT_EQ(CredentialStore(files).find("token", "").identity_token, "id");
}

TEST_F(CredentialsTest, SaysNothingSecretOfDamagedFiles) {
  const std::string bad = R"({"auths":{"h":{"auth":"c2VjcmV0)";
  const std::string error = error_of([&] { find({write("c.json", bad)}, "h"); });
  EXPECT_THAT(error, HasSubstr("c.json' is not valid JSON"));
  EXPECT_THAT(error, Not(HasSubstr("c2VjcmV0")));
  const std::string other =
      error_of([&] { find({write("c.json", R"({"auths":{"h":{"auth":"c2VjcmV0"}}})")}, "h"); });
  EXPECT_THAT(other, HasSubstr("field 'auths.h.auth' is not base64 of USER:PASSWORD"));
}

TEST_F(CredentialsTest, AsksHelpersForTheirRegistries) {
  helper("one",
         "read server; echo \"{\\\"ServerURL\\\":\\\"$server\\\",\\\"Username\\\":\\\"one-$1\\\","
         "\\\"Secret\\\":\\\"$server\\\"}\"");
  helper(
      "all",
      "read server; [ \"$server\" = other ] || { echo 'credentials not found in native keychain';"
      " exit 1; }; echo '{\"Username\":\"<token>\",\"Secret\":\"id\"}'");
  const auto file =
      write("c.json", R"({"credHelpers":{"h:5000":"one","https://index.docker.io/v1/":"one"},
                          "credsStore":"all","auths":{"h:5000":{},)" +
                          auth("plain", "file") + "}}");
  EXPECT_EQ(find({file}, "h:5000", "x"), "one-get:h:5000");
  EXPECT_EQ(find({file}, "docker.io", "library/x"), "one-get:https://index.docker.io/v1/");
  EXPECT_EQ(find({file}, "plain"), "file:pw");
  EXPECT_EQ(find({file}, "unknown"), "");
  const auto next = write("d.json", "{\"auths\":{" + auth("unknown", "next") + "}}");
  EXPECT_EQ(find({file, next}, "unknown"), "next:pw");
  RegistryFiles files;
  files.credentials = {file};
  EXPECT_EQ(CredentialStore(files).find("other", "").identity_token, "id");
}

TEST_F(CredentialsTest, SaysWhatIsWrongWithAHelper) {
  EXPECT_THAT(
      error_of([] { CredentialHelper("no-such-helper").get("h"); }),
      HasSubstr("the credential helper 'docker-credential-no-such-helper' is not installed"));
  EXPECT_THAT(error_of([] { CredentialHelper("../../bin/sh").get("h"); }),
              HasSubstr("is not a name of a credential helper"));
  helper("broken", "echo 'the keychain is locked'; exit 3");
  EXPECT_THAT(error_of([] { CredentialHelper("broken").get("h"); }),
              HasSubstr("could not get: 'the keychain is locked'"));
  helper("silent", "exit 7");
  EXPECT_THAT(error_of([] { CredentialHelper("silent").get("h"); }), HasSubstr("it ended with 7"));
  helper("nonsense", "echo '{\"Secret\":\"s3cret'");
  const std::string error = error_of([] { CredentialHelper("nonsense").get("h"); });
  EXPECT_THAT(error, HasSubstr("is not valid JSON"));
  EXPECT_THAT(error, Not(HasSubstr("s3cret")));
  helper("endless",
         "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done");
  EXPECT_THAT(error_of([] { CredentialHelper("endless").get("h"); }),
              HasSubstr("more than it should"));
}

TEST_F(CredentialsTest, KillsHelpersThatDoNotEnd) {
  helper("slow", "sleep 600 & echo $! > '" + dir_.path() + "/pid'; sleep 600");
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(error_of([] { CredentialHelper("slow", {.timeout = 300ms, .path = {}}).get("h"); }),
              HasSubstr("did not answer within"));
  helper("closed", "exec >&-; sleep 600");
  EXPECT_THAT(error_of([] { CredentialHelper("closed", {.timeout = 300ms, .path = {}}).get("h"); }),
              HasSubstr("does not end"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, 60s);
  // Its children, too; a killed process may be a zombie for a moment.
  const std::string pid(read("pid").substr(0, read("pid").find('\n')));
  for (int i = 0; i < 100; ++i) {
    const std::string stat = sys::read_file("/proc/" + pid + "/stat").value_or("");
    if (stat.empty() || stat.find(") Z") != std::string::npos) return;
    std::this_thread::sleep_for(20ms);
  }
  ADD_FAILURE() << "sleep " << pid << " still runs";
}

TEST_F(CredentialsTest, ADaemonOfAHelperIsNotWaitedFor) {
  helper("daemon", "echo '{\"Username\":\"u\",\"Secret\":\"s\"}'; sleep 3 &");
  const auto found = CredentialHelper("daemon").get("h");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->password, "s");
}

TEST_F(CredentialsTest, LoginKeepsWhatItDoesNotKnow) {
  const auto path =
      write("config.json", R"({"psFormat":"x","auths":{"other":{"auth":"YTpi"}},"z":[1]})", 0644);
  EXPECT_EQ(
      store_credentials(path, "h:5000",
                        {.user = "u", .password = "p", .identity_token = {}, .registry_token = {}}),
      path);
  EXPECT_EQ(
      read("config.json"),
      "{\n\t\"psFormat\": \"x\",\n\t\"auths\": {\n\t\t\"other\": {\n\t\t\t\"auth\": "
      "\"YTpi\"\n\t\t},"
      "\n\t\t\"h:5000\": {\n\t\t\t\"auth\": \"dTpw\"\n\t\t}\n\t},\n\t\"z\": [\n\t\t1\n\t]\n}\n");
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(find({path}, "h:5000"), "u:p");
  EXPECT_TRUE(erase_credentials(path, "h:5000"));
  EXPECT_FALSE(erase_credentials(path, "h:5000"));
  EXPECT_EQ(find({path}, "h:5000"), "");
  EXPECT_EQ(find({path}, "other"), "a:b");
}

TEST_F(CredentialsTest, LoginMakesTheFileAndReplacesOldSpellings) {
  const std::string path = dir_.path() + "/new/config.json";
  EXPECT_FALSE(erase_credentials(path, "docker.io"));
  store_credentials(path, "docker.io",
                    {.user = "u", .password = "p", .identity_token = {}, .registry_token = {}});
  EXPECT_THAT(sys::read_file(path).value_or(""), HasSubstr("\"https://index.docker.io/v1/\""));
  sys::write_file_atomically(path, "{\"auths\":{" + auth("docker.io", "old") + "}}");
  store_credentials(path, "docker.io",
                    {.user = "u", .password = "p", .identity_token = {}, .registry_token = {}});
  EXPECT_EQ(find({path}, "docker.io"), "u:p");
  EXPECT_THAT(sys::read_file(path).value_or(""), Not(HasSubstr("\"docker.io\"")));
}

TEST_F(CredentialsTest, LoginFollowsASymlink) {
  const auto real = write("real.json", "{}");
  const std::string link = dir_.path() + "/config.json";
  ASSERT_EQ(::symlink("real.json", link.c_str()), 0);
  store_credentials(link, "h",
                    {.user = "u", .password = "p", .identity_token = {}, .registry_token = {}});
  EXPECT_TRUE(S_ISLNK(sys::lstatat(AT_FDCWD, link)->st_mode));
  EXPECT_EQ(find({real}, "h"), "u:p");
}

TEST_F(CredentialsTest, LoginGivesSecretsToTheHelper) {
  helper("keep", "cat > '" + dir_.path() + "/'$1");
  const auto path = write("config.json", R"({"credsStore":"keep"})");
  EXPECT_EQ(
      store_credentials(
          path, "h", {.user = "u", .password = "p\"q", .identity_token = {}, .registry_token = {}}),
      "the helper docker-credential-keep");
  EXPECT_EQ(read("store"), R"({"ServerURL":"h","Username":"u","Secret":"p\"q"})");
  EXPECT_THAT(read("config.json"), HasSubstr("\"h\": {}"));
  store_credentials(path, "docker.io",
                    {.user = "u", .password = {}, .identity_token = "id", .registry_token = {}});
  EXPECT_EQ(
      read("store"),
      R"({"ServerURL":"https://index.docker.io/v1/","Username":"\u003ctoken\u003e","Secret":"id"})");
  EXPECT_TRUE(erase_credentials(path, "h"));
  EXPECT_EQ(read("erase"), "h");
  EXPECT_THAT(read("config.json"), Not(HasSubstr("\"h\"")));
}

TEST_F(CredentialsTest, LoginLeavesAFileThatIsNoJson) {
  const auto path = write("config.json", "precious");
  EXPECT_THAT(error_of([&] {
                store_credentials(
                    path, "h",
                    {.user = "u", .password = "p", .identity_token = {}, .registry_token = {}});
              }),
              HasSubstr("is not a JSON object"));
  EXPECT_EQ(read("config.json"), "precious");
}

}  // namespace
}  // namespace lade
