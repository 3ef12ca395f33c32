import streamlit as st

st.set_page_config(page_title="x")


def a():
    st.write("page A")


def b():
    st.write("page B", dict(st.query_params))


st.navigation([st.Page(a, title="A", url_path="a"), st.Page(b, title="B", url_path="neighbourhood")]).run()
