// Signatures against those that Amazon publishes, the files of the aws command, and S3's XML.
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "registry/s3/aws_config.hpp"
#include "registry/s3/aws_signature.hpp"
#include "registry/s3/xml_text.hpp"
#include "tests/support/error_of.hpp"

namespace lade {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

const char* const kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

// RFC 4231, test cases 2 and 6.
TEST(HmacSha256, MatchesTheTestVectors) {
  EXPECT_EQ(hmac_sha256("Jefe", "what do ya want for nothing?").hex(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hmac_sha256(std::string(131, '\xaa'),
                        "Test Using Larger Than Block-Size Key - Hash Key First")
                .hex(),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

// The SigV4 test suite, "get-vanilla".
TEST(AwsSignature, MatchesTheTestSuite) {
  const AwsRequest request{
      .method = "GET",
      .path = "/",
      .headers = {{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}},
      .payload_digest = kEmpty};
  const AwsCredentials user{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};
  EXPECT_EQ(aws_authorization(request, user, "us-east-1", "service", "20150830T123600Z"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
            "SignedHeaders=host;x-amz-date, "
            "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

/// "Authenticating Requests: Using the Authorization Header", Amazon S3 API Reference.
std::string s3_example(AwsRequest request) {
  request.headers["host"] = "examplebucket.s3.amazonaws.com";
  request.headers["x-amz-content-sha256"] = request.payload_digest;
  request.headers["x-amz-date"] = "20130524T000000Z";
  const AwsCredentials user{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
  return aws_authorization(request, user, "us-east-1", "s3", "20130524T000000Z");
}

TEST(AwsSignature, MatchesTheExamplesOfS3) {
  EXPECT_THAT(s3_example({.method = "GET",
                          .path = "/test.txt",
                          .headers = {{"range", "bytes=0-9"}},
                          .payload_digest = kEmpty}),
              EndsWith("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
  EXPECT_THAT(s3_example({.method = "PUT",
                          .path = "/test%24file.text",
                          .headers = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                      {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                          .payload_digest =
                              "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"}),
              EndsWith("98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
  EXPECT_THAT(s3_example({.method = "GET",
                          .path = "/",
                          .query = {{"lifecycle", ""}},
                          .headers = {},
                          .payload_digest = kEmpty}),
              EndsWith("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
  EXPECT_THAT(s3_example({.method = "GET",
                          .path = "/",
                          .query = {{"prefix", "J"}, {"max-keys", "2"}},
                          .headers = {},
                          .payload_digest = kEmpty}),
              EndsWith("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

TEST(AwsSignature, QueriesAreSortedAndEncoded) {
  EXPECT_EQ(canonical_query({.method = "PUT",
                             .path = "/",
                             .query = {{"uploadId", "a/b+c=="}, {"partNumber", "2"}},
                             .headers = {},
                             .payload_digest = kEmpty}),
            "partNumber=2&uploadId=a%2Fb%2Bc%3D%3D");
}

TEST(Ini, SectionsAndValues) {
  const auto sections = parse_ini(
      "lost = 1\n# [no]\n[default]\nRegion=eu-west-1\r\n"
      "s3 =\n  max_concurrent = 2\n; x\n[profile ci]\n"
      "key = a=b \nnothing\n[profile ci]\nother = c\n");
  ASSERT_EQ(sections.size(), 2U);
  EXPECT_EQ(sections.at("default"),
            (std::map<std::string, std::string>{{"region", "eu-west-1"}, {"s3", ""}}));
  EXPECT_EQ(sections.at("profile ci"),
            (std::map<std::string, std::string>{{"key", "a=b"}, {"other", "c"}}));
}

/// The environment of a user with the files of the aws command.
class AwsConfigTest : public testing::Test {
 protected:
  AwsConfigTest() {
    for (const char* name :
         {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION",
          "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE",
          "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"}) {
      set(name, nullptr);
    }
    set("HOME", directory_.path().c_str());
    sys::make_dirs(directory_.path() + "/.aws");
  }
  ~AwsConfigTest() override {
    for (const auto& [name, value] : before_) {
      if (value) {
        ::setenv(name.c_str(), value->c_str(), 1);
      } else {
        ::unsetenv(name.c_str());
      }
    }
  }
  void set(const char* name, const char* value) {
    const char* known = std::getenv(name);
    before_.try_emplace(name, known ? std::optional<std::string>(known) : std::nullopt);
    if (value) {
      ::setenv(name, value, 1);
    } else {
      ::unsetenv(name);
    }
  }
  void write(const std::string& name, const std::string& text) {
    sys::write_file_atomically(directory_.path() + "/.aws/" + name, text);
  }

  TempDir directory_ = TempDir::create(testing::TempDir());
  std::map<std::string, std::optional<std::string>> before_;
};

TEST_F(AwsConfigTest, NothingIsSaidWhereNothingIsSet) {
  const AwsConfig config = AwsConfig::of_user();
  EXPECT_FALSE(config.credentials);
  EXPECT_EQ(config.region, "");
  EXPECT_EQ(config.endpoint_url, "");
}

TEST_F(AwsConfigTest, TheFilesSayWhatTheEnvironmentDoesNot) {
  write("config",
        "[default]\nregion = eu-west-1\naws_access_key_id = low\n"
        "[profile ci]\nregion = eu-north-1\nendpoint_url = http://minio:9000\n");
  write("credentials",
        "[default]\naws_access_key_id = id\naws_secret_access_key = secret\n"
        "[ci]\naws_access_key_id = ci\naws_secret_access_key = more\n"
        "aws_session_token = token\n");
  AwsConfig config = AwsConfig::of_user();
  EXPECT_EQ(config.region, "eu-west-1");
  ASSERT_TRUE(config.credentials);
  EXPECT_EQ(config.credentials->access_key_id, "id");
  EXPECT_EQ(config.credentials->session_token, "");

  set("AWS_PROFILE", "ci");
  config = AwsConfig::of_user();
  EXPECT_EQ(config.region, "eu-north-1");
  EXPECT_EQ(config.endpoint_url, "http://minio:9000");
  EXPECT_EQ(config.credentials->access_key_id, "ci");
  EXPECT_EQ(config.credentials->session_token, "token");

  set("AWS_REGION", "us-west-2");
  set("AWS_ACCESS_KEY_ID", "env");
  set("AWS_SECRET_ACCESS_KEY", "env secret");
  config = AwsConfig::of_user();
  EXPECT_EQ(config.region, "us-west-2");
  EXPECT_EQ(config.credentials->secret_access_key, "env secret");
  EXPECT_EQ(config.credentials->session_token, "");
}

TEST_F(AwsConfigTest, AProfileThatIsNowhereIsAnError) {
  set("AWS_PROFILE", "typo");
  EXPECT_THAT(error_of([] { AwsConfig::of_user(); }), HasSubstr("AWS_PROFILE=typo"));
}

TEST(Xml, TextsOfElements) {
  const std::string_view xml =
      "<?xml version=\"1.0\"?>\n<Error><CodeName>no</CodeName><Code>No &amp; &lt;so&#62; &#x41;"
      "</Code><Message xml:lang=\"en\">it's\nlong</Message><Empty></Empty><Two><Deep/></Two>";
  EXPECT_EQ(xml_text(xml, "Code"), "No & <so> A");
  EXPECT_EQ(xml_text(xml, "Message"), "it's\nlong");
  EXPECT_EQ(xml_text(xml, "Empty"), "");
  EXPECT_EQ(xml_text(xml, "Missing"), std::nullopt);
  EXPECT_EQ(xml_text(xml, "Two"), std::nullopt);
  for (const char* bad : {"", "<Code", "<Code>", "<Code>x", "<Code>x</", "<Code>&</Code>",
                          "<Code>&x;</Code>", "<Code>&#0;</Code>", "<Code>&#xd800;</Code>",
                          "<Code>&#99999999999;</Code>", "<Code>x</Cod>"}) {
    EXPECT_EQ(xml_text(bad, "Code"), std::nullopt) << bad;
  }
  EXPECT_EQ(xml_text("<E>" + xml_escape("a<b>&\"'c") + "</E>", "E"), "a<b>&\"'c");
}

}  // namespace
}  // namespace lade
