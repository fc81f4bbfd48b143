"""A small S3: objects of buckets in memory, for requests that are signed as they must be.

What it knows of AWS Signature Version 4 it has from Amazon's documentation, and shares no code with lade.
"""

import datetime
import email.utils
import hashlib
import hmac
import http.server
import re
import threading
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import escape

MAX_SKEW = 15 * 60


class Refused(Exception):
    def __init__(self, status, code, message=""):
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


def check_signature(secrets, method, raw_path, raw_query, headers, body):
    """Raises Refused unless the request is signed by one of `secrets` (access key -> secret); returns the key."""
    given = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
                         r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})", headers.get("authorization", ""))
    if not given:
        raise Refused(403, "AccessDenied", "no signature")
    key, date, region, service, signed, signature = given.groups()
    if key not in secrets:
        raise Refused(403, "InvalidAccessKeyId")
    names = signed.split(";")
    if names != sorted(names) or "host" not in names:
        raise Refused(403, "AccessDenied", "headers are not signed in order, with the host")
    for name in headers:
        if name.startswith("x-amz-") and name not in names:
            raise Refused(403, "AccessDenied", f"{name} is not signed")
    stamp = headers.get("x-amz-date", "")
    when = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    if abs(when.timestamp() - time.time()) > MAX_SKEW or not stamp.startswith(date):
        raise Refused(403, "RequestTimeTooSkewed")
    if headers.get("x-amz-content-sha256") != hashlib.sha256(body).hexdigest():
        raise Refused(400, "XAmzContentSHA256Mismatch")

    def quoted(text):
        return urllib.parse.quote(text, safe="-._~")

    pairs = urllib.parse.parse_qsl(raw_query, keep_blank_values=True, strict_parsing=bool(raw_query))
    query = "&".join(sorted(f"{quoted(name)}={quoted(value)}" for name, value in pairs))
    path = "/".join(quoted(urllib.parse.unquote(part)) for part in raw_path.split("/"))
    lines = [method, path, query, *[f"{name}:{' '.join(headers[name].split())}" for name in names], "", signed,
             headers["x-amz-content-sha256"]]
    scope = f"{date}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256("\n".join(lines).encode()).hexdigest()])
    secret = ("AWS4" + secrets[key]).encode()
    for part in (date, region, service, "aws4_request", to_sign):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(secret.hex(), signature):
        raise Refused(403, "SignatureDoesNotMatch", "the signature is another")
    return key


class S3Server:
    """Serves on a loopback port until stop(). `tokens`: access key -> the session token that must come along."""

    def __init__(self, secrets, buckets=("cache",), tokens=None):
        self.secrets, self.tokens = secrets, tokens or {}
        self.objects = {bucket: {} for bucket in buckets}  # bucket -> key -> (bytes, time)
        self.uploads = {}
        self.log = []  # "PUT bucket/key"
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                outer.handle(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def keys(self, bucket="cache"):
        with self.lock:
            return sorted(self.objects[bucket])

    def bytes(self, key, bucket="cache"):
        with self.lock:
            return self.objects[bucket][key][0]

    def age(self, seconds, bucket="cache"):
        """Makes all objects older."""
        with self.lock:
            self.objects[bucket] = {key: (data, when - seconds) for key, (data, when) in self.objects[bucket].items()}

    def handle(self, request):
        raw_path, _, raw_query = request.path.partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = request.rfile.read(int(headers.get("content-length", 0)))
        try:
            key = check_signature(self.secrets, request.command, raw_path, raw_query, headers, body)
            if headers.get("x-amz-security-token") != self.tokens.get(key):
                raise Refused(400, "InvalidToken")
            bucket, _, name = urllib.parse.unquote(raw_path)[1:].partition("/")
            query = dict(urllib.parse.parse_qsl(raw_query, keep_blank_values=True))
            with self.lock:
                self.log.append(f"{request.command} {bucket}/{name}" + "".join(f" {part}" for part in sorted(query)))
                if bucket not in self.objects:
                    raise Refused(404, "NoSuchBucket")
                status, fields, data = self.answer(request.command, self.objects[bucket], bucket, name, query, headers, body)
        except Refused as refused:
            status, fields = refused.status, {"Content-Type": "application/xml"}
            data = f"<Error><Code>{refused.code}</Code><Message>{escape(refused.message)}</Message></Error>".encode()
        request.send_response(status)
        for name, value in fields.items():
            request.send_header(name, value)
        if "Content-Length" not in fields:
            request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(data)

    def answer(self, method, objects, bucket, name, query, headers, body):
        if method == "POST" and "uploads" in query:
            upload = f"upload/{len(self.uploads)}+="
            self.uploads[upload] = {}
            return 200, {}, f"<R><UploadId>{upload}</UploadId></R>".encode()
        if "uploadId" in query and query["uploadId"] not in self.uploads:
            raise Refused(404, "NoSuchUpload")
        if method == "PUT" and "partNumber" in query:
            self.uploads[query["uploadId"]][int(query["partNumber"])] = body
            return 200, {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}, b""
        if method == "POST":
            parts = self.uploads.pop(query["uploadId"])
            asked = [(int(part.findtext("PartNumber")), part.findtext("ETag").strip('"'))
                     for part in ElementTree.fromstring(body)]
            if asked != [(number, hashlib.md5(data).hexdigest()) for number, data in sorted(parts.items())]:
                raise Refused(400, "InvalidPart")
            objects[name] = (b"".join(data for _, data in sorted(parts.items())), time.time())
            return 200, {}, b"<CompleteMultipartUploadResult/>"
        if method == "DELETE":
            self.uploads.pop(query.get("uploadId"), None)
            return 204, {}, b""
        if method == "PUT" and "x-amz-copy-source" in headers:
            source = urllib.parse.unquote(headers["x-amz-copy-source"]).removeprefix(f"/{bucket}/")
            objects[name] = (objects[source][0], time.time())
            return 200, {}, b"<CopyObjectResult/>"
        if method == "PUT":
            objects[name] = (body, time.time())
            return 200, {}, b""
        if name not in objects:
            raise Refused(404, "NoSuchKey")
        data, when = objects[name]
        fields = {"Last-Modified": email.utils.formatdate(when, usegmt=True)}
        if wanted := re.fullmatch(r"bytes=(\d+)-", headers.get("range", "")):
            fields["Content-Range"] = f"bytes {wanted[1]}-{len(data) - 1}/{len(data)}"
            return 206, fields, data[int(wanted[1]):]
        if method == "HEAD":
            fields["Content-Length"] = str(len(data))
        return 200, fields, data
