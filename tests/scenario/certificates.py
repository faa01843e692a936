"""Certificates for tests, made by openssl in a folder of the test."""

import subprocess


def openssl(*arguments, folder):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_ca(folder, name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "30",
            "-subj", f"/CN={name}", folder=folder)


def make_certificate(folder, name, ca="ca", sans="DNS:localhost", usage="serverAuth",
                     days="30", algorithm=("ec", "ec_paramgen_curve:P-256")):
    kind, option = algorithm
    openssl("req", "-new", "-newkey", kind, "-pkeyopt", option, "-nodes", "-keyout",
            f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}", folder=folder)
    (folder / f"{name}.ext").write_text(f"subjectAltName={sans}\nextendedKeyUsage={usage}\n")
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key",
            "-CAcreateserial", "-days", days, "-extfile", f"{name}.ext", "-out",
            f"{name}.pem", folder=folder)
