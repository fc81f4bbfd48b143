FROM users
USER whoisthat:andthat
