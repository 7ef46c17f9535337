package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"software.sslmate.com/src/go-pkcs12"
)

// settings are the connection settings, read from the variables to which Spring Boot binds spring.rabbitmq.*.
type settings struct {
	host, port, user, password, virtualHost string
	tls                                     *tls.Config // nil: plain AMQP
}

func (s settings) address() string { return net.JoinHostPort(s.host, s.port) }

// variable is the environment variable of a spring.rabbitmq property, or the property's default.
func variable(name, otherwise string) string {
	if value, set := os.LookupEnv("SPRING_RABBITMQ_" + name); set && value != "" {
		return value
	}
	return otherwise
}

func flag(name string, otherwise bool) (bool, error) {
	text := variable(name, strconv.FormatBool(otherwise))
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("SPRING_RABBITMQ_%s is %q, not true or false", name, text)
	}
	return value, nil
}

func readSettings() (settings, error) {
	s := settings{
		host:        variable("HOST", "localhost"),
		user:        variable("USERNAME", "guest"),
		password:    variable("PASSWORD", "guest"),
		virtualHost: variable("VIRTUALHOST", "/"),
	}
	encrypted, err := flag("SSL_ENABLED", false)
	if err != nil {
		return s, err
	}
	s.port = variable("PORT", map[bool]string{false: "5672", true: "5671"}[encrypted])
	if addresses := variable("ADDRESSES", ""); addresses != "" {
		first, _, _ := strings.Cut(addresses, ",")
		if host, port, err := net.SplitHostPort(strings.TrimSpace(first)); err == nil {
			s.host, s.port = host, port
		} else {
			s.host = strings.TrimSpace(first)
		}
	}
	if encrypted {
		s.tls, err = tlsSettings(s.host)
	}
	return s, err
}

func tlsSettings(host string) (*tls.Config, error) {
	roots, err := trustStore()
	if err != nil {
		return nil, err
	}
	validate, err := flag("SSL_VALIDATESERVERCERTIFICATE", true)
	if err != nil {
		return nil, err
	}
	verifyHost, err := flag("SSL_VERIFYHOSTNAME", true)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}
	switch {
	case !validate:
		config.InsecureSkipVerify = true
	case !verifyHost:
		config.InsecureSkipVerify = true
		config.VerifyConnection = func(state tls.ConnectionState) error {
			intermediates := x509.NewCertPool()
			for _, certificate := range state.PeerCertificates[1:] {
				intermediates.AddCert(certificate)
			}
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates})
			return err
		}
	}
	return config, nil
}

// trustStore reads the CA certificates: PKCS#12 as Java writes it, or PEM. Without a setting it is the system's.
func trustStore() (*x509.CertPool, error) {
	location := strings.TrimPrefix(strings.TrimPrefix(variable("SSL_TRUSTSTORE", ""), "file:"), "//")
	if location == "" {
		return nil, nil
	}
	content, err := os.ReadFile(location)
	if err != nil {
		return nil, fmt.Errorf("the trust store: %w", err)
	}
	roots := x509.NewCertPool()
	switch kind := strings.ToUpper(variable("SSL_TRUSTSTORETYPE", "JKS")); kind {
	case "PEM":
		if !roots.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("the trust store %s holds no PEM certificate", location)
		}
	case "PKCS12":
		certificates, err := pkcs12.DecodeTrustStore(content, variable("SSL_TRUSTSTOREPASSWORD", ""))
		if err != nil {
			return nil, fmt.Errorf("the trust store %s: %w", location, err)
		}
		if len(certificates) == 0 {
			return nil, errors.New("the trustAnchors parameter must be non-empty")
		}
		for _, certificate := range certificates {
			roots.AddCert(certificate)
		}
	default:
		return nil, fmt.Errorf("the trust store type %s is not one of PKCS12 and PEM", kind)
	}
	return roots, nil
}
