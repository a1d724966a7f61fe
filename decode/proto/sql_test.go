package proto

import (
	"strings"
	"testing"
)

func TestSQLShape(t *testing.T) {
	tests := map[string]struct {
		family      sqlFamily
		query, want string
	}{
		"literals":      {sqlPostgres, "select * from t where a = 5 and b='x' and c = -1.5e-3", "select * from t where a = ? and b=? and c = -?"},
		"white_space":   {sqlPostgres, " select\n\t1  ,\r\n2 ; ", "select ?"},
		"comments":      {sqlPostgres, "/* id 7 */ select 1 -- why\n from t", "select ? from t"},
		"parameters":    {sqlPostgres, "select $1, $23", "select ?"},
		"list":          {sqlPostgres, "where id in (1, 2,3 , 'x')", "where id in (?)"},
		"rows":          {sqlPostgres, "insert into t values (1, 'a'), (2, 'b'),(3, 'c')", "insert into t values (?)"},
		"names":         {sqlPostgres, `select "A 1".b2, t1.c from "x""y"`, `select "A 1".b2, t1.c from "x""y"`},
		"doubled":       {sqlPostgres, "select 'it''s' x", "select ? x"},
		"no_escape":     {sqlPostgres, `select '\' x`, "select ? x"},
		"escapes":       {sqlPostgres, `select E'\'' x, b'1', x'ff'`, "select ? x, ?"},
		"dollars":       {sqlPostgres, "do $$ a 'b' $$; select $t$ x $$ y $t$ z", "do ?; select ? z"},
		"dollar_alone":  {sqlPostgres, "select a$b, $ x", "select a$b, $ x"},
		"unfinished":    {sqlPostgres, "select 'abc", "select ?"},
		"double_quotes": {sqlMySQL, `select "a""b\"c", 'd\'e' from ` + "`t 1`", "select ? from `t 1`"},
		"hash":          {sqlMySQL, "select 1 # why\n, ?", "select ?"},
		"executed":      {sqlMySQL, "/*!40101 SET NAMES utf8 */;", "SET NAMES utf8"},
		"hexadecimal":   {sqlMySQL, "select 0xff, 1e5", "select ?"},
		"empty":         {sqlPostgres, " ; ", ""},
		"umlauts":       {sqlPostgres, "select größe from straße1", "select größe from straße1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := sqlShape(tt.query, tt.family); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	for _, q := range []string{strings.Repeat("é", 5000), strings.Repeat("a,", 5000), strings.Repeat("1,", 5000), strings.Repeat("('", 9000)} {
		if got := sqlShape(q, sqlPostgres); len(got) > maxSQLShape+len("…") || strings.ToValidUTF8(got, "") != got {
			t.Errorf("%d bytes of %q", len(got), got[:9])
		}
	}
}

func TestSQLLine(t *testing.T) {
	for query, want := range map[string]string{
		"select\n 1":                                                   "select 1",
		"alter role a password 'x''y' valid":                           "alter role a password '***' valid",
		"create user a identified by 'x\\'y', b":                       "create user a identified by '***', b",
		"create user a IDENTIFIED WITH mysql_native_password BY \"x\"": "create user a IDENTIFIED WITH mysql_native_password BY '***'",
		"set password = PASSWORD('x')":                                 "set password = PASSWORD('***')",
		"alter role a password 'never ends":                            "alter role a password '***'",
		"select 'password'":                                            "select 'password'",
	} {
		if got := sqlLine(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}
