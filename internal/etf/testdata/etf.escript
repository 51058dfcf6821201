#!/usr/bin/env escript
%% Erlang itself, beside package etf. "decode" answers each message, a term, with
%% its JSON, in which an atom has "atom:" before it, but for nil, true and false.
%% "encode" answers each message, an expression of Erlang, with its term.
-mode(compile).

main([Mode]) ->
    ok = io:setopts(standard_io, [binary, {encoding, latin1}]),
    each(Mode, file:read(standard_io, 4)).

each(_, eof) -> ok;
each(Mode, {ok, <<Size:32>>}) ->
    {ok, Message} = file:read(standard_io, Size),
    Answer = iolist_to_binary(answer(Mode, Message)),
    ok = file:write(standard_io, [<<(byte_size(Answer)):32>>, Answer]),
    each(Mode, file:read(standard_io, 4)).

answer("decode", Message) -> json(binary_to_term(Message));
answer("encode", Message) ->
    {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Message)),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    {value, Term, _} = erl_eval:exprs(Expressions, []),
    Term.

json(nil) -> "null";
json(true) -> "true";
json(false) -> "false";
json(A) when is_atom(A) -> text(<<"atom:", (atom_to_binary(A))/binary>>);
json(N) when is_integer(N) -> integer_to_list(N);
json(F) when is_float(F) -> io_lib:format("~w", [F]);
json(B) when is_binary(B) -> text(B);
json(L) when is_list(L) -> [$[, lists:join($,, [json(E) || E <- L]), $]];
json(M) when is_map(M) -> [${, lists:join($,, [[json(K), $:, json(V)] || {K, V} <- maps:to_list(M)]), $}].

text(B) -> [$", [escaped(C) || <<C>> <= B], $"].

escaped($") -> "\\\"";
escaped($\\) -> "\\\\";
escaped(C) when C < 32 -> io_lib:format("\\u~4.16.0b", [C]);
escaped(C) -> C.
