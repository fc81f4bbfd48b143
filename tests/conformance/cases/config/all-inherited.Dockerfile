FROM configured
