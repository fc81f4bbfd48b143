#: named scratch=docker-image://{registry}/other:latest
FROM scratch
LABEL a=b
# other
