"""Rules of groups as rules of a packet filter."""

import unittest

from stack_ec2.firewall import Rule, render


class Render(unittest.TestCase):
    def test_without_rules_only_answers_and_the_own_machine_pass(self):
        lines = render([], []).splitlines()
        self.assertEqual(lines[1:4], [":INPUT DROP [0:0]", ":FORWARD DROP [0:0]", ":OUTPUT DROP [0:0]"])
        self.assertEqual(len([line for line in lines if line.startswith("-A INPUT")]), 2)

    def test_each_kind_of_rule_has_its_match(self):
        table = {
            Rule("tcp", 22, 22, "10.0.0.0/8"): "-A INPUT -s 10.0.0.0/8 -p tcp --dport 22:22 -j ACCEPT",
            Rule("17", 53, 60, "0.0.0.0/0"): "-A INPUT -s 0.0.0.0/0 -p udp --dport 53:60 -j ACCEPT",
            Rule("-1", None, None, "172.31.0.4/32"): "-A INPUT -s 172.31.0.4/32 -j ACCEPT",
            Rule("icmp", -1, -1, "0.0.0.0/0"): "-A INPUT -s 0.0.0.0/0 -p icmp -j ACCEPT",
            Rule("icmp", 8, 0, "0.0.0.0/0"): "-A INPUT -s 0.0.0.0/0 -p icmp --icmp-type 8/0 -j ACCEPT",
            Rule("icmp", 8, -1, "0.0.0.0/0"): "-A INPUT -s 0.0.0.0/0 -p icmp --icmp-type 8 -j ACCEPT",
            Rule("50", None, None, "0.0.0.0/0"): "-A INPUT -s 0.0.0.0/0 -p 50 -j ACCEPT",
        }
        for rule, line in table.items():
            self.assertIn(line, render([rule], []).splitlines())

    def test_egress_rules_name_the_destination(self):
        text = render([], [Rule("-1", None, None, "0.0.0.0/0")])
        self.assertIn("-A OUTPUT -d 0.0.0.0/0 -j ACCEPT", text.splitlines())

    def test_a_rule_that_two_groups_have_comes_once(self):
        rule = Rule("tcp", 22, 22, "10.0.0.0/8")
        self.assertEqual(render([rule, rule], []), render([rule], []))


if __name__ == "__main__":
    unittest.main()
