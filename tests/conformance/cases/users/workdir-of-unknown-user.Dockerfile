FROM users
USER whoisthat
WORKDIR /w
