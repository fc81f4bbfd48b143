#: named some/image=docker-image://{registry}/other
# That image is: other
FROM some/image:latest
RUN ls /opt > /x
