# ruff: noqa: E501, RUF001 - a culture is a line, in its own letters
"""Names of ordinary people: the most common given and family names of many cultures.

Written down from general knowledge before the matcher was measured, and not filtered: a culture
whose people fill the sanctions lists (Arabic, Persian, Pakistani, Russian, Mexican, Korean, Burmese)
is as frequent here as any other, so that some of these names stand on a list exactly.
"""

from itertools import count

import numpy as np

# culture: given names / family names
_CULTURES = """
english: James Mary John Patricia Robert Jennifer Michael Linda David Elizabeth William Barbara Richard Susan Thomas Jessica Daniel Sarah / Smith Johnson Williams Brown Jones Davis Miller Wilson Moore Taylor Anderson Thomas Jackson White Harris Martin Thompson Robinson Clark Lewis Walker Hall Allen Young King Wright Hill Scott Green Baker Adams Nelson Carter Mitchell Roberts Turner
celtic: Sean Siobhan Liam Aoife Connor Niamh Patrick Fiona Callum Eilidh Rhys Megan / Murphy Kelly O'Sullivan Walsh O'Brien Byrne Ryan O'Connor O'Neill Reilly Doyle McCarthy Gallagher Doherty Kennedy Lynch Murray Quinn MacDonald Campbell Stewart Robertson Fraser Evans Davies Morgan Griffiths Hughes Lloyd Price Powell Burke Nolan Flynn Maguire Sinclair
german: Hans Anna Peter Maria Wolfgang Ursula Klaus Monika Jürgen Petra Lukas Leonie Felix Sabine Stefan / Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Schäfer Koch Bauer Richter Klein Wolf Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann Lange Werner Krause Lehmann Köhler Maier Huber Gruber Steiner Brandt Vogel Winkler
french: Jean Marie Pierre Nathalie Michel Isabelle Philippe Sylvie Alain Catherine Nicolas Camille Julien Chloé / Martin Bernard Dubois Thomas Robert Richard Petit Durand Leroy Moreau Simon Laurent Lefebvre Michel Garcia David Bertrand Roux Vincent Fournier Morel Girard Andre Mercier Dupont Lambert Bonnet François Martinez
italian: Giuseppe Maria Giovanni Anna Antonio Rosa Mario Angela Luigi Giovanna Francesco Giulia Marco Chiara / Rossi Russo Ferrari Esposito Bianchi Romano Colombo Ricci Marino Greco Bruno Gallo Conti De Luca Mancini Costa Giordano Rizzo Lombardi Moretti Barbieri Fontana Santoro Mariani Rinaldi Caruso Ferrara Galli
spanish: Antonio María José Carmen Manuel Ana Francisco Isabel Juan Dolores David Pilar Javier Laura Daniel Cristina / García Rodríguez González Fernández López Martínez Sánchez Pérez Gómez Martín Jiménez Ruiz Hernández Díaz Moreno Álvarez Muñoz Romero Alonso Gutiérrez Navarro Torres Domínguez Vázquez Ramos Gil Ramírez Serrano Blanco Molina
mexican: José Guadalupe Luis Juana Carlos Margarita Jesús Verónica Miguel Alejandra Jorge Leticia Fernando Yolanda Ricardo Gabriela Sergio Adriana / Hernández García Martínez López González Pérez Rodríguez Sánchez Ramírez Cruz Flores Gómez Morales Vázquez Reyes Jiménez Torres Díaz Gutiérrez Ruiz Mendoza Aguilar Ortiz Moreno Castillo Romero Álvarez Méndez Chávez Rivera Juárez Ramos
colombian: Carlos Luz Andrés Diana Jorge Sandra Julián Paola Camilo Claudia Santiago Marcela / Rodríguez Gómez González Martínez García López Hernández Sánchez Ramírez Pérez Díaz Muñoz Rojas Moreno Jiménez Castro Vargas Ortiz Restrepo Quintero Valencia Ospina Arango Zapata
brazilian: João Maria Pedro Ana Paulo Francisca Lucas Adriana Marcos Juliana Rafael Fernanda Gustavo Patrícia / Silva Santos Oliveira Souza Rodrigues Ferreira Alves Pereira Lima Gomes Costa Ribeiro Martins Carvalho Almeida Lopes Soares Fernandes Vieira Barbosa Rocha Dias Nascimento Andrade Moreira Nunes Marques Machado Mendes Freitas
dutch: Jan Johanna Willem Anna Hendrik Cornelia Pieter Wilhelmina Daan Emma Sem Sophie / Jansen de Jong de Vries Bakker Visser Smit Meijer Mulder Bos Vos Peters Hendriks Dekker Brouwer Dijkstra Smits Postma Kok Jacobs Vermeulen
nordic: Lars Anna Erik Karin Nils Ingrid Mikael Kristina Olav Astrid Jens Kirsten Mikko Aino / Andersson Johansson Karlsson Nilsson Eriksson Larsson Olsson Persson Svensson Gustafsson Hansen Johansen Olsen Larsen Nielsen Jensen Pedersen Christensen Rasmussen Korhonen Virtanen Mäkinen Nieminen Lindberg
polish: Piotr Anna Krzysztof Maria Andrzej Katarzyna Tomasz Małgorzata Jan Agnieszka Paweł Barbara / Nowak Kowalski Wiśniewski Wójcik Kowalczyk Kamiński Lewandowski Zieliński Szymański Woźniak Dąbrowski Kozłowski Jankowski Mazur Kwiatkowski Krawczyk Piotrowski Grabowski Pawłowski Michalski
czech: Jiří Jana Jan Marie Petr Eva Josef Hana Pavel Lenka Martin Kateřina / Novák Svoboda Novotný Dvořák Černý Procházka Kučera Veselý Horák Němec Pokorný Marek Pospíšil Hájek Král Růžička
hungarian: László Mária István Erzsébet József Katalin János Ilona Zoltán Éva / Nagy Kovács Tóth Szabó Horváth Varga Kiss Molnár Németh Farkas Balogh Papp Takács Juhász Lakatos
romanian: Andrei Maria Alexandru Elena Ion Ioana Mihai Ana Gheorghe Cristina / Popa Popescu Ionescu Pop Radu Dumitru Stan Stoica Gheorghe Matei Ciobanu Rusu Munteanu Marin
balkan: Nikola Milica Marko Jelena Stefan Ana Ivan Marija Luka Ivana Dragan Snežana / Jovanović Petrović Nikolić Marković Đorđević Stojanović Ilić Stanković Pavlović Milošević Horvat Kovačević Babić Marić Jurić Novak Hadžić Hodžić
greek: Γιώργος Maria Ioannis Eleni Konstantinos Katerina Dimitris Vasiliki Nikolaos Sofia / Papadopoulos Vlachos Angelopoulos Nikolaidis Georgiou Petridis Athanasiadis Dimitriadis Papadakis Pappas Oikonomou Karagiannis
russian: Александр Elena Sergey Olga Dmitry Natalia Andrei Tatiana Alexei Irina Mikhail Svetlana Ivan Anna Vladimir Ekaterina / Ivanov Smirnov Kuznetsov Popov Vasiliev Petrov Sokolov Mikhailov Novikov Fedorov Morozov Volkov Alekseev Lebedev Semenov Egorov Pavlov Kozlov Stepanov Nikolaev Orlov Andreev Makarov Nikitin Zakharov Иванов Кузнецов Павлова
ukrainian: Oleksandr Olena Serhiy Oksana Andriy Iryna Volodymyr Nataliya Mykola Tetiana / Melnyk Shevchenko Kovalenko Bondarenko Boyko Tkachenko Kravchenko Kovalchuk Oliynyk Shevchuk Koval Polishchuk Bondar Tkachuk Moroz Marchenko
turkish: Mehmet Fatma Mustafa Ayşe Ahmet Emine Ali Hatice Hüseyin Zeynep Hasan Elif İbrahim Meryem / Yılmaz Kaya Demir Şahin Çelik Yıldız Yıldırım Öztürk Aydın Özdemir Arslan Doğan Kılıç Aslan Çetin Kara Koç Kurt Özkan Şimşek
arabic: Mohamed Fatima Ahmed Aisha Ali Mariam Omar Zainab Youssef Khadija Ibrahim Layla Hassan Noor Khaled Salma Mahmoud Huda / Hassan Hussein Ali Mohamed Ahmed Ibrahim Mahmoud Saleh Khalil Mansour Said Abdullah Nasser Hamdan Haddad Khoury Najjar Al-Masri Darwish Saad Salem Qasim Aziz Jaber Awad Shaheen Barakat Suleiman Al-Otaibi Al-Harbi
maghreb: Mohammed Fatiha Rachid Naima Said Samira Karim Nadia Hamid Amina Mustapha Zohra / Benali Bouzid Alaoui Idrissi El Amrani Bennani Haddad Mansouri Saidi Cherif Brahimi Belkacem Trabelsi Ben Salah Gharbi Jaziri
persian: Mohammad Fatemeh Ali Zahra Hossein Maryam Reza Narges Mehdi Leila Amir Sara Hassan Shirin / Mohammadi Hosseini Ahmadi Rezaei Karimi Moradi Jafari Rahimi Hashemi Moosavi Ebrahimi Sadeghi Akbari Rostami Kazemi Ghasemi Heidari Mousavi Amini Tehrani
pakistani: Muhammad Ayesha Ahmed Fatima Ali Zainab Hassan Sana Usman Hina Bilal Saima Imran Nadia / Khan Ahmed Malik Hussain Ali Iqbal Akhtar Butt Sheikh Qureshi Chaudhry Siddiqui Mirza Baig Raza Javed Shah Rehman Mahmood Aslam
afghan: Ahmad Zahra Mohammad Farida Abdul Laila Hamid Nargis Rahim Soraya Najib Parwin Zalmai Shukria Wahid Mina / Ahmadi Rahimi Karimi Noori Haidari Mohammadi Azizi Sharifi Popal Stanikzai Hakimi Wardak Safi Ahmadzai Amiri Nazari Rasooli Sultani Yousufi Habibi Hashimi Barakzai
indian: Rahul Priya Amit Anjali Raj Sunita Sanjay Kavita Vijay Lakshmi Arjun Deepa Suresh Meena Ravi Asha / Sharma Patel Singh Kumar Gupta Verma Reddy Nair Iyer Rao Mehta Joshi Shah Das Mishra Yadav Chopra Kapoor Agarwal Banerjee Mukherjee Pillai Menon Desai
bangla: Mohammad Nasrin Abdul Shirin Kamal Farhana Rafiq Sultana Jahangir Ruma Habib Nasima / Islam Rahman Hossain Ahmed Khan Chowdhury Uddin Akter Begum Miah Sarkar Haque Alam Karim Mondal Das Biswas Roy Siddique Talukder Bhuiyan Khatun
chinese: Wei Fang Jun Xiuying Lei Na Yang Min Jie Jing Qiang Yan Tao Li Xiaoming Jianhua / Wang Li Zhang Liu Chen Yang Huang Zhao Wu Zhou Xu Sun Ma Zhu Hu Guo He Lin Gao Luo Zheng Liang Xie Song Tang Deng Feng Cheng
korean: Minjun Seoyeon Ji-hoon Soo-jin Hyun-woo Min-ji Sung-ho Young-hee Dong-hyun Eun-ji Jae-won Kyung-sook Chul-soo Mi-kyung / Kim Lee Park Choi Jung Kang Cho Yoon Jang Lim Han Oh Seo Shin Kwon Hwang Ahn Song Yoo Hong
japanese: Hiroshi Yuko Takashi Keiko Kenji Yumi Satoshi Akiko Daisuke Naoko / Sato Suzuki Takahashi Tanaka Watanabe Ito Yamamoto Nakamura Kobayashi Kato Yoshida Yamada Sasaki Mori Abe Ikeda Hashimoto Ishikawa Yamaguchi Matsumoto Inoue Kimura Hayashi Shimizu Saito
vietnamese: Anh Linh Minh Huong Hung Thao Tuan Lan Duc Mai / Nguyen Tran Le Pham Hoang Huynh Phan Vu Vo Dang Bui Do Ho Ngo Duong Ly
burmese: Aung Thida Kyaw Khin Min Su Zaw Hla Myo Nwe Thein Aye Zin Ei Htet Moe / Aung Win Htun Myint Naing Oo Tun Soe Lwin Maung Htay Than Kyaw Zaw Thein Hlaing Phyo Latt Moe Wai Linn
indonesian: Budi Siti Agus Dewi Andi Sri Joko Rina Ahmad Putri / Santoso Wijaya Susanto Hidayat Setiawan Kusuma Saputra Lestari Nugroho Wibowo Pratama Gunawan Suryadi Hartono
filipino: Jose Maria Mark Angelica Juan Jasmine Rommel Cristina / Santos Reyes Cruz Bautista Ocampo Garcia Mendoza Torres Tomas Andrada Castillo Flores Villanueva Ramos Aquino Navarro Salazar
nigerian: Chukwuemeka Ngozi Oluwaseun Funmilayo Ibrahim Amina Emeka Chioma Tunde Yetunde / Okafor Adeyemi Okonkwo Balogun Eze Nwosu Abubakar Bello Musa Okoye Ogunleye Adebayo Obi Lawal Sani Usman Danjuma Ojo Uche Mohammed Yakubu
eastafrican: Abebe Wanjiru Otieno Fatuma Tesfaye Achieng Mohamed Halima Kamau Amina / Bekele Tesfaye Kamau Otieno Mwangi Ochieng Wanjiku Hassan Abdi Ali Warsame Kipchoge Haile Mutua Juma Omar
congolese: Jean Marie Joseph Béatrice Patrick Grâce Emmanuel Espérance Dieudonné Chantal Pascal Solange / Kabongo Mukendi Ilunga Kasongo Tshibangu Mutombo Ngoy Kalala Mbuyi Kabila Nkunda Habimana Uwimana Niyonzima
southafrican: Thabo Nomsa Sipho Zanele Johan Elmarie Pieter Lerato / Dlamini Nkosi Ndlovu Khumalo Botha van der Merwe Naidoo Mokoena Pretorius Zulu Sithole Moyo Ncube Sibanda
hebrew: Yosef Sarah Moshe Rivka David Miriam Avi Noa Eitan Tamar Yaakov Shira / Cohen Levi Mizrahi Peretz Biton Dahan Avraham Friedman Katz Azoulay Shapiro Goldberg Malka Amar Gabay Ohayon Rosenberg Weiss Segal
"""
# Of three family names one is for tuning and two are for reporting.
TUNING, REPORTING = "tuning", "reporting"
PARTICLES = ("de", "De", "van der", "El", "Ben", "Al")
MIDDLE_SHARE = 0.25


def cultures() -> dict[str, tuple[list[str], list[str]]]:
    """Given and family names by culture."""
    found = {}
    for line in _CULTURES.strip().splitlines():
        culture, _, names = line.partition(": ")
        given, _, family = names.partition(" / ")
        for particle in PARTICLES:
            family = family.replace(f" {particle} ", f" {particle}_")
        parts = family.split()
        found[culture] = (given.split(), [name.replace("_", " ") for name in parts])
    return found


def given_names() -> list[str]:
    """The different given names of all cultures, single words."""
    return list(dict.fromkeys(name for given, _ in cultures().values() for name in given))


def ordinary_names(n: int, half: str, *, seed: int = 11) -> list[str]:
    """`n` different names, from every culture as many as any other while it has new ones."""
    rng = np.random.default_rng((seed, half == REPORTING))
    known = [
        (given, [name for k, name in enumerate(family) if (k % 3 == 0) == (half == TUNING)])
        for given, family in cultures().values()
    ]
    names: dict[str, None] = {}
    for i in count():
        given, family = known[i % len(known)]
        chosen = [str(name) for name in rng.choice(given, 2, replace=False)]
        words = chosen if rng.random() < MIDDLE_SHARE else chosen[:1]
        names[" ".join([*words, str(rng.choice(family))])] = None
        if len(names) == n:
            break
    return list(names)
